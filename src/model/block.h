#pragma once

#include <torch/script.h>

#include <utility>

#include "model/architecture.h"
#include "weights/offloaded_matrices.h"

namespace attention_bypass {

// The queries, keys and values of tokens, each (rows, heads, length, head size).
struct Projections {
  at::Tensor queries, keys, values;
};

// Which keys attention may read.
struct KeyMask {
  std::optional<at::Tensor> mask;  // (rows, 1, queries, keys), true where visible; none where all keys are
  bool causal = false;             // the triangle of equal numbers of queries and keys, without a mask
};

// The weights of a block, in the model's dtype; those of norms in the residual stream's dtype.
struct BlockWeights {
  at::Tensor queries, keys, values;             // (heads, head size, hidden size)
  at::Tensor query_bias, key_bias, value_bias;  // (heads, head size)
  at::Tensor output, output_bias;               // (heads, hidden size, head size), (hidden size)
  at::Tensor attention_scale, attention_shift;  // of the norm before attention, (hidden size)
  at::Tensor widen, widen_bias, narrow;         // of the MLP, as linear layers have them
  at::Tensor mlp_scale, mlp_shift;              // of the norm before the MLP, (hidden size)
};

// The parts of one block. How they are added to the residual stream is in forward/block_step.h.
class Block {
 public:
  // window: how many tokens back its attention sees, including the token itself; 0: all. parallel: attention
  // and MLP both read the stream that enters the block; otherwise the MLP reads what attention has added to.
  Block(const Architecture::Block& parts, int64_t window, bool parallel, OffloadedMatrices matrices);

  // The norm before attention of the residual stream (rows, length, hidden size), in the model's dtype.
  at::Tensor attention_norm(const at::Tensor& stream) const { return call(attention_norm_, stream); }
  // rotation: what the model makes of the positions of these tokens.
  Projections project(const at::Tensor& normed, const at::Tensor& rotation) const;
  // The head outputs, side by side: (rows, queries, hidden size).
  at::Tensor mix(const Projections& projections, const KeyMask& visible) const;
  // The attention output from head outputs.
  at::Tensor output(const at::Tensor& mixed) const { return call(output_, mixed); }
  // The attention output where each token attends only to itself.
  at::Tensor short_circuit(const at::Tensor& normed) const { return call(short_circuit_, normed); }
  // The MLP output from the residual stream, including its norm.
  at::Tensor mlp(const at::Tensor& stream) const { return call(mlp_, mlp_norm(stream)); }

  at::Tensor mlp_norm(const at::Tensor& stream) const { return call(mlp_norm_, stream); }
  // The activation of the MLP.
  at::Tensor activate(const at::Tensor& widened) const { return call(activate_, widened); }
  BlockWeights weights() const;

  int64_t window() const { return window_; }
  bool parallel() const { return parallel_; }

 private:
  friend class LoadedBlock;

  template <typename... Arguments>
  static at::Tensor call(const torch::jit::Method& method, Arguments&&... arguments) {
    // Specializing the graphs for each shape costs more than it saves: the time is in the kernels.
    const torch::jit::GraphOptimizerEnabledGuard interpret(false);
    return method({std::forward<Arguments>(arguments)...}).toTensor();
  }

  Architecture::Block parts_;
  torch::jit::Method attention_norm_, project_, mix_, output_, short_circuit_, mlp_norm_, mlp_, activate_;
  int64_t window_;
  bool parallel_;
  OffloadedMatrices matrices_;
};

// A block whose weights are in memory for as long as this object lives.
class LoadedBlock {
 public:
  explicit LoadedBlock(const Block& block) : block_(block) { block_.matrices_.load(); }
  ~LoadedBlock() { block_.matrices_.release(); }
  LoadedBlock(const LoadedBlock&) = delete;
  LoadedBlock& operator=(const LoadedBlock&) = delete;
  const Block* operator->() const { return &block_; }
  const Block& operator*() const { return block_; }

 private:
  const Block& block_;
};

}  // namespace attention_bypass
