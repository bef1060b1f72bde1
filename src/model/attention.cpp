#include "model/attention.h"

#include "model/rotary.h"

namespace attention_bypass {

Projections Attention::project(const at::Tensor& normed, const at::Tensor& rotation) const {
  const int64_t rows = normed.size(0);
  const int64_t length = normed.size(1);
  if (joint()) {
    const auto joined = layers_.projections.front()(normed);
    const auto parts = layers_.order == Order::by_head
                           ? joined.view({rows, length, heads_, 3, -1}).permute({3, 0, 2, 1, 4})
                           : joined.view({rows, length, 3, heads_, -1}).permute({2, 0, 3, 1, 4});
    if (rotation.defined()) rotate(parts.narrow(0, 0, 2), rotation);
    return {parts.select(0, 0), parts.select(0, 1), parts.select(0, 2), parts.narrow(0, 1, 2)};
  }
  const auto project_one = [&](size_t part) {
    return layers_.projections[part](normed).view({rows, length, heads_, -1}).transpose(1, 2);
  };
  Projections projections{project_one(0), project_one(1), project_one(2)};
  if (rotation.defined()) {
    rotate(projections.queries, rotation);
    rotate(projections.keys, rotation);
  }
  return projections;
}

at::Tensor Attention::mix(const Projections& projections, const KeyMask& visible) const {
  const auto& own = projections;
  return at::scaled_dot_product_attention(own.queries, own.keys, own.values, visible.mask, 0.0,
                                          visible.causal, scale_)
      .transpose(1, 2)
      .flatten(2);
}

at::Tensor Attention::short_circuit(const at::Tensor& normed) const {
  const auto& values = layer(2);
  if (!joint()) return output(values(normed));
  const auto bias = values.bias().defined() ? by_head(values.bias(), 2).flatten() : at::Tensor();
  return output(product(normed, by_head(values.weight(), 2).flatten(0, 1), bias));
}

at::Tensor Attention::by_head(const at::Tensor& of_layer, int64_t part) const {
  if (!joint()) return of_layer.unflatten(0, {heads_, -1});
  return layers_.order == Order::by_head ? of_layer.unflatten(0, {heads_, 3, -1}).select(1, part)
                                         : of_layer.unflatten(0, {3, heads_, -1}).select(0, part);
}

Attention::Weights Attention::weights() const {
  const auto weight = [this](int64_t part) { return by_head(layer(part).weight(), part); };
  const auto bias = [&](int64_t part) {
    const auto& stored = layer(part).bias();
    return stored.defined() ? by_head(stored, part) : at::zeros_like(weight(part).select(2, 0));
  };
  const auto output = layers_.output.weight();
  const auto& output_bias = layers_.output.bias();
  return {weight(0),
          weight(1),
          weight(2),
          bias(0),
          bias(1),
          bias(2),
          output.unflatten(1, {heads_, -1}).transpose(0, 1),
          output_bias.defined() ? output_bias : at::zeros_like(output.select(1, 0))};
}

}  // namespace attention_bypass
