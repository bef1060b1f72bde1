#pragma once

#include <torch/script.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/config.h"
#include "model/linear.h"

namespace attention_bypass {

// The queries, keys and values of tokens, each (rows, heads, length, head size).
struct Projections {
  at::Tensor queries, keys, values;
  at::Tensor keys_and_values =
      {};  // both, (2, rows, heads, length, head size), if they are adjacent in memory
};

// The keys that attention may read.
struct KeyMask {
  std::optional<at::Tensor> mask;  // (rows, 1, queries, keys), true if visible; empty: see `causal`
  bool causal = false;  // if there is no mask: true: a query reads the keys up to its own; false: all keys
};

// The attention of one block.
class Attention {
 public:
  // The order of the outputs of a joint projection: (3, heads, head size) or (heads, 3, head size).
  enum class Order : uint8_t { by_part, by_head };
  // module: of the module tree. projections: three layers for queries, keys and values, or a joint one.
  struct Layers {
    torch::jit::Module module;
    std::vector<Linear> projections;
    Order order = Order::by_part;
    Linear output;
  };
  // Weights by head.
  struct Weights {
    at::Tensor queries, keys, values;             // (heads, head size, hidden size)
    at::Tensor query_bias, key_bias, value_bias;  // (heads, head size)
    at::Tensor output, output_bias;               // (heads, hidden size, head size), (hidden size)
  };

  Attention(Layers layers, const ModelConfig& config)
      : layers_(std::move(layers)), heads_(config.head_count), scale_(config.attention_scale) {}

  // rotation: of the positions of these tokens; undefined if the family has none.
  Projections project(const at::Tensor& normed, const at::Tensor& rotation) const;
  // Returns the concatenated head outputs, (rows, queries, hidden size).
  at::Tensor mix(const Projections& projections, const KeyMask& visible) const;
  // Returns the attention output for head outputs.
  at::Tensor output(const at::Tensor& mixed) const { return layers_.output(mixed); }
  // Returns the attention output if each token attends only to itself.
  at::Tensor short_circuit(const at::Tensor& normed) const;
  // Biases are zeros if there are none.
  Weights weights() const;

 private:
  bool joint() const { return layers_.projections.size() == 1; }
  // The weight or bias of queries (0), keys (1) or values (2), (heads, head size, ...).
  at::Tensor by_head(const at::Tensor& of_layer, int64_t part) const;
  const Linear& layer(int64_t part) const {
    return layers_.projections[joint() ? 0 : static_cast<size_t>(part)];
  }

  Layers layers_;
  int64_t heads_;
  double scale_;
};

}  // namespace attention_bypass
