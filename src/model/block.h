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

// The keys that attention may read.
struct KeyMask {
  std::optional<at::Tensor> mask;  // (rows, 1, queries, keys), true if visible; empty: see `causal`
  bool causal = false;  // if there is no mask: true: a query reads the keys up to its own; false: all keys
};

// The weights of a block in the model's dtype. The weights of norms have the dtype of the residual stream.
struct BlockWeights {
  at::Tensor queries, keys, values;             // (heads, head size, hidden size)
  at::Tensor query_bias, key_bias, value_bias;  // (heads, head size)
  at::Tensor output, output_bias;               // (heads, hidden size, head size), (hidden size)
  at::Tensor attention_scale, attention_shift;  // of the norm before attention, (hidden size)
  at::Tensor up, up_bias, down;                 // of the MLP: (outputs, inputs), (outputs), (outputs, inputs)
  at::Tensor mlp_scale, mlp_shift;              // of the norm before the MLP, (hidden size)
};

// The parts of one block. forward/block_step.h adds them to the residual stream.
class Block {
 public:
  // window: the size of the attention window in tokens, including the query token; 0: all tokens. parallel:
  // attention and MLP both read the stream that enters the block; otherwise the MLP reads the stream after
  // attention.
  Block(const Architecture::Block& parts, int64_t window, bool parallel, OffloadedMatrices matrices);

  // Applies the norm before attention to the residual stream (rows, length, hidden size). Returns the model's
  // dtype.
  at::Tensor attention_norm(const at::Tensor& stream) const { return call(attention_norm_, stream); }
  // rotation: Positions::rotation of these tokens.
  Projections project(const at::Tensor& normed, const at::Tensor& rotation) const;
  // Returns the concatenated head outputs, (rows, queries, hidden size).
  at::Tensor mix(const Projections& projections, const KeyMask& visible) const;
  // Returns the attention output for head outputs.
  at::Tensor output(const at::Tensor& mixed) const { return call(output_, mixed); }
  // Returns the attention output if each token attends only to itself.
  at::Tensor short_circuit(const at::Tensor& normed) const { return call(short_circuit_, normed); }
  // Applies the norm and the MLP to the residual stream. Returns the MLP output.
  at::Tensor mlp(const at::Tensor& stream) const { return call(mlp_, mlp_norm(stream)); }

  at::Tensor mlp_norm(const at::Tensor& stream) const { return call(mlp_norm_, stream); }
  at::Tensor activate(const at::Tensor& values) const { return call(activate_, values); }
  BlockWeights weights() const;

  int64_t window() const { return window_; }
  bool parallel() const { return parallel_; }

 private:
  friend class LoadedBlock;

  template <typename... Arguments>
  static at::Tensor call(const torch::jit::Method& method, Arguments&&... arguments) {
    // No specialized graphs: making them costs more than they save, since kernels take most of the time.
    const torch::jit::GraphOptimizerEnabledGuard interpret(false);
    return method({std::forward<Arguments>(arguments)...}).toTensor();
  }

  Architecture::Block parts_;
  torch::jit::Method attention_norm_, project_, mix_, output_, short_circuit_, mlp_norm_, mlp_, activate_;
  int64_t window_;
  bool parallel_;
  OffloadedMatrices matrices_;
};

// Keeps the weights of a block in memory while this object exists.
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
