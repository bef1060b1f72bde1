#pragma once

#include <utility>

#include "base/device.h"
#include "base/transfer.h"
#include "model/architecture.h"
#include "model/joint_norms.h"
#include "weights/offloaded_matrices.h"
#include "weights/widened_matrices.h"

namespace attention_bypass {

// The parts of one block. forward/block_step.h adds them to the residual stream.
class Block {
 public:
  // index: the number of the block in the model.
  Block(const Architecture::Block& parts, const ModelConfig& config, size_t index,
        OffloadedMatrices offloaded, WidenedMatrices widened)
      : parts_(parts),
        attention_(parts.attention, config),
        window_(config.windows[index]),
        parallel_(config.parallel_residual),
        offloaded_(std::move(offloaded)),
        widened_(std::move(widened)) {
    const auto& scale = parts.attention_norm.scale();
    if (!config.short_circuited.empty()) {
      std::vector<int64_t> heads;
      for (int64_t head = 0; head < config.head_count; ++head) {
        if (config.short_circuited[index][static_cast<size_t>(head)]) heads.push_back(head);
      }
      if (!heads.empty()) short_circuited_ = to_device(heads, scale.device());
    }
    // In half precision, where the results of the norms would be converted one by one.
    if (parallel_ && operators_only(scale.device()) &&
        parts.attention_norm.result_type() != scale.scalar_type()) {
      joint_norms_ = JointNorms(parts.attention_norm, parts.mlp_norm);
    }
  }

  // Applies the norm before attention to the residual stream (rows, length, hidden size).
  at::Tensor attention_norm(const at::Tensor& stream) const { return parts_.attention_norm(stream); }
  at::Tensor mlp_norm(const at::Tensor& stream) const { return parts_.mlp_norm(stream); }
  // Applies the norm and the MLP to the residual stream. Returns the MLP output.
  at::Tensor mlp(const at::Tensor& stream) const { return parts_.mlp(mlp_norm(stream)); }

  // Applies both norms to one stream. Undefined if the block has no faster way than one after the other.
  const JointNorms& joint_norms() const { return joint_norms_; }

  const Attention& attention() const { return attention_; }
  // The indices of the heads that attend only to the token itself. Undefined if there are none.
  const at::Tensor& short_circuited() const { return short_circuited_; }
  const Architecture::Block& parts() const { return parts_; }
  // The size of the attention window in tokens, including the query token; 0: all tokens.
  int64_t window() const { return window_; }
  // Whether attention and MLP both read the stream that enters the block. Otherwise the MLP reads the stream
  // after attention.
  bool parallel() const { return parallel_; }

 private:
  friend class LoadedBlock;

  Architecture::Block parts_;
  Attention attention_;
  int64_t window_;
  bool parallel_;
  JointNorms joint_norms_;
  at::Tensor short_circuited_;
  OffloadedMatrices offloaded_;
  WidenedMatrices widened_;
};

// Keeps the weights of a block in memory while this object exists.
class LoadedBlock {
 public:
  // tokens: how many the block computes. For many, weights that are widened for products are widened once.
  LoadedBlock(const Block& block, int64_t tokens) : block_(block) {
    block_.offloaded_.load();
    if (tokens >= many_tokens) narrow_ = block_.widened_.widen();
  }
  ~LoadedBlock() {
    block_.widened_.restore(narrow_);
    block_.offloaded_.release();
  }
  LoadedBlock(const LoadedBlock&) = delete;
  LoadedBlock& operator=(const LoadedBlock&) = delete;
  const Block* operator->() const { return &block_; }
  const Block& operator*() const { return block_; }

 private:
  // Widening takes as long as computing a few dozen tokens.
  static constexpr int64_t many_tokens = 1024;

  const Block& block_;
  std::vector<at::Tensor> narrow_;  // the matrices before they were widened
};

}  // namespace attention_bypass
