#pragma once

#include <torch/script.h>

#include <functional>
#include <string>
#include <vector>

#include "architecture.h"
#include "bypass.h"
#include "config.h"
#include "control.h"
#include "key_value_cache.h"
#include "offloaded_matrices.h"
#include "token_batch.h"
#include "visibility.h"

namespace attention_bypass {

// A canonical module, driven block by block. One thread at a time.
class Model {
 public:
  struct Projections {
    at::Tensor queries, keys, values;  // each (rows, heads, length, head size)
  };

  // What a block is made of, in the model's dtype; of norms, in the residual stream's.
  struct Weights {
    at::Tensor queries, keys, values;             // (heads, head size, hidden size)
    at::Tensor query_bias, key_bias, value_bias;  // (heads, head size)
    at::Tensor output, output_bias;               // (heads, hidden size, head size), (hidden size)
    at::Tensor attention_scale, attention_shift;  // of the attention's norm, (hidden size)
    at::Tensor widen, widen_bias, narrow;         // of the MLP, as linear layers have them
    at::Tensor mlp_scale, mlp_shift;              // of the MLP's norm, (hidden size)
  };

  // One block's parts. They take the residual stream, in float32, and give what is to be added to it.
  class Block {
   public:
    // The attention's own norm of the residual stream, in the model's dtype.
    at::Tensor normed(const at::Tensor& hidden) const;
    Projections project(const at::Tensor& normed, const at::Tensor& rotation) const;
    // The values that the queries see, mixed: (rows, queries, hidden size).
    at::Tensor mix(const Projections& projections, const Visibility::Rule& rule) const;
    at::Tensor output(const at::Tensor& mixed) const { return call(output_, mixed); }
    // What a bypass that no longer attends adds, or an undefined tensor where it adds nothing. It broadcasts
    // to the stream. normed is called where it is needed.
    at::Tensor bypassed(const BlockBypass& bypass, const std::function<at::Tensor()>& normed) const;
    // The MLP, its norm included.
    at::Tensor mlp(const at::Tensor& hidden) const;

    // The MLP's activation.
    at::Tensor activate(const at::Tensor& widened) const { return call(activate_, widened); }
    at::Tensor mlp_normed(const at::Tensor& hidden) const { return call(mlp_norm_, hidden); }
    Weights weights() const;

    // How many tokens back its attention sees, itself included; 0: all.
    int64_t window() const { return window_; }

   private:
    friend class Model;
    Block(const Architecture::Block& parts, int64_t window, const at::TensorOptions& options,
          OffloadedMatrices matrices);

    Architecture::Block parts_;
    torch::jit::Method attention_norm_, project_, mix_, output_, short_circuit_, mlp_norm_, mlp_, activate_;
    int64_t window_;
    at::TensorOptions options_;
    OffloadedMatrices matrices_;
  };

  // A block with its weights at hand for as long as this lives.
  class BlockAtWork {
   public:
    explicit BlockAtWork(const Block& block) : block_(block) { block_.matrices_.load(); }
    ~BlockAtWork() { block_.matrices_.release(); }
    BlockAtWork(const BlockAtWork&) = delete;
    BlockAtWork& operator=(const BlockAtWork&) = delete;
    const Block* operator->() const { return &block_; }
    const Block& operator*() const { return block_; }

   private:
    const Block& block_;
  };

  Model(ModelConfig config, Architecture architecture, const Placement& placement);

  // The residual stream before the first block, (rows, length, hidden size).
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& positions) const;
  // What attention needs to know of positions (rows, length).
  at::Tensor rotation(const at::Tensor& positions) const;
  BlockAtWork block(int64_t index) const { return BlockAtWork(blocks_[static_cast<size_t>(index)]); }
  // The residual stream as the output embedding takes it, (..., hidden size) in the model's dtype.
  at::Tensor final_norm(const at::Tensor& hidden) const { return call(final_norm_, hidden); }
  // The final norm's scale, (hidden size).
  at::Tensor final_scale() const { return final_scale_; }
  // Rows begin to begin + count of the output embedding, where the model computes and in its dtype.
  at::Tensor output_embedding(int64_t begin, int64_t count) const;

  // Called with the number of a block and the residual stream after it; -1 and the embedding before the
  // first.
  using StreamObserver = std::function<void(int64_t block, const at::Tensor& stream)>;

  // From tokens to the residual stream after the last block, (rows, longest, hidden size). With a cache, the
  // batch's tokens come behind those that the cache holds, and are added to it.
  at::Tensor forward(const TokenBatch& batch, const BypassPlan& plan, KeyValueCache* cache, Control& control,
                     const StreamObserver& observe = {}) const;

  // Logits in float32 from the residual stream, final norm included: (..., hidden size) -> (..., vocabulary).
  at::Tensor unembed(const at::Tensor& hidden) const;

  // Writes the module as a TorchScript archive, with these extra files in it. Throws DISK_FULL, WRITE_FAILED.
  void save(const std::string& path, const std::map<std::string, std::string>& extra) const;

  // Attention and MLP both read the stream that came in, rather than the MLP what attention has added to.
  bool parallel_residual() const { return config_.family == Family::gpt_neox && config_.parallel_residual; }
  const ModelConfig& config() const { return config_; }
  const at::TensorOptions& options() const { return placement_.options; }
  at::Device device() const { return placement_.options.device(); }
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(placement_.options.dtype()); }

 private:
  template <typename... Arguments>
  static at::Tensor call(const torch::jit::Method& method, Arguments&&... arguments) {
    // Specializing the graphs for each shape costs more than it brings: the time is in the kernels.
    const torch::jit::GraphOptimizerEnabledGuard interpret(false);
    return method({std::forward<Arguments>(arguments)...}).toTensor();
  }

  ModelConfig config_;
  Placement placement_;
  torch::jit::Module root_;
  torch::jit::Method embed_, rotation_, final_norm_;
  torch::jit::Module token_embedding_, output_embedding_;
  at::Tensor final_scale_;
  OffloadedWeights offloaded_;
  std::vector<Block> blocks_;
};

}  // namespace attention_bypass
