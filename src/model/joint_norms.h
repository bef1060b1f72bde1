#pragma once

#include <ATen/ATen.h>

#include <utility>

#include "model/layer_norm.h"

namespace attention_bypass {

// The two layer norms of a parallel block, which read the same stream: their mean and variance are computed
// once.
class JointNorms {
 public:
  JointNorms() = default;
  JointNorms(const LayerNorm& attention, const LayerNorm& mlp)
      : scales_(at::stack({attention.scale(), mlp.scale()}).view({2, 1, 1, -1})),
        shifts_(at::stack({attention.shift(), mlp.shift()}).view({2, 1, 1, -1})),
        epsilon_(attention.epsilon()),
        type_(attention.result_type()) {}

  bool defined() const { return scales_.defined(); }
  // stream: (rows, length, hidden size). Returns the inputs of attention and MLP.
  std::pair<at::Tensor, at::Tensor> operator()(const at::Tensor& stream) const {
    const auto centered = at::layer_norm(stream, {stream.size(2)}, {}, {}, epsilon_);
    auto both = at::empty({2, stream.size(0), stream.size(1), stream.size(2)}, stream.options().dtype(type_));
    at::addcmul_out(both, shifts_, centered, scales_);
    return {both.select(0, 0), both.select(0, 1)};
  }

 private:
  at::Tensor scales_, shifts_;  // (2, 1, 1, hidden size)
  double epsilon_ = 0;
  at::ScalarType type_ = at::kFloat;
};

}  // namespace attention_bypass
