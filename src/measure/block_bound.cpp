#include "measure/block_bound.h"

#include <cmath>
#include <vector>

#include "measure/spectral_norm.h"
#include "model/activation.h"

namespace attention_bypass {

namespace {

// If scores can change by more than this, the bound assumes that attention weights can have any value.
constexpr double widest_score_change = 30;
// The relative rounding error of |x - y|^2 computed as |x|^2 + |y|^2 - 2xy.
constexpr double expansion_loss = 1e-13;

}  // namespace

at::Tensor normalized_radius(const at::Tensor& stream, const at::Tensor& radius, double epsilon) {
  const auto size = static_cast<double>(stream.size(-1));
  const auto centred = stream - stream.mean(-1, true);
  const auto lengths = (centred.square().sum(-1) + size * epsilon).sqrt().squeeze(0);
  // The chord of the widest angle, or the diameter if the sphere's centre is within the radius.
  const auto sine = (radius / lengths).clamp_max(1);
  const auto chord = sine * (2 / (1 + (1 - sine.square()).sqrt())).sqrt();
  return std::sqrt(size) * at::where(radius < lengths, chord, 2);
}

BlockNorms::BlockNorms(const Block& block)
    : attention(block.attention().weights()), output_gram(attention.output.mT().matmul(attention.output)) {
  const auto& [attention_norm, layers, mlp_norm, mlp] = block.parts();
  const auto identity = at::eye(attention.queries.size(1), attention.queries.options())
                            .expand({attention.queries.size(0), -1, -1});
  values = product_spectral_norms(attention.output, attention.values * attention_norm.scale());
  queries = product_spectral_norms(identity, attention.queries * attention_norm.scale());
  keys = product_spectral_norms(identity, attention.keys * attention_norm.scale());
  up = spectral_norm(mlp.up().weight() * mlp_norm.scale());
  down = spectral_norm(mlp.down().weight());
}

BlockBound::BlockBound(const Model& model, const Block& block, const BlockNorms& norms,
                       const Projections& projections, const at::Tensor& visible)
    : model_(model),
      block_(block),
      norms_(norms),
      weights_(norms.attention),
      queries_(projections.queries[0]),
      keys_(projections.keys[0]),
      values_(projections.values[0]),
      visible_(visible.expand({queries_.size(0), -1, -1})) {
  if (block.short_circuited().defined()) {
    const auto own = at::eye(visible.size(0), visible.options()).expand_as(visible_);
    visible_ =
        visible_.index_copy(0, block.short_circuited(), own.narrow(0, 0, block.short_circuited().size(0)));
  }
  const double scale = model.config().attention_scale;
  const auto scores = queries_.matmul(keys_.mT()).mul(scale).masked_fill(visible_.logical_not(), -INFINITY);
  attention_ = scores.softmax(-1);
  mixed_ = attention_.matmul(values_);
}

at::Tensor BlockBound::head_differences(const at::Tensor& moved) const {
  std::vector<at::Tensor> heads;
  for (int64_t head = 0; head < queries_.size(0); ++head) heads.push_back(head_difference(head, moved));
  return at::stack(heads);
}

at::Tensor BlockBound::head_difference(int64_t head, const at::Tensor& moved) const {
  const auto hidden = visible_[head].logical_not();
  const auto of_queries = [](const at::Tensor& values) { return values.unsqueeze(1); };
  const auto reach = norms_.values[head] * moved;  // how far a value can move after the output projection

  // How far scores can change: lemma 2.
  const auto query_moves = of_queries(norms_.queries[head] * moved);
  const auto key_moves = norms_.keys[head] * moved;
  const auto query_lengths = of_queries(queries_[head].norm(2, {-1}));
  const auto moves = (model_.config().attention_scale * (query_moves * keys_[head].norm(2, {-1}) +
                                                         query_lengths * key_moves + query_moves * key_moves))
                         .masked_fill(hidden, 0);
  const auto widest = moves.amax(-1);
  const auto move = moves.clamp_max(widest_score_change);

  // How far attention weights can change: lemma 3.
  const auto& attention = attention_[head];
  const auto grown = attention * move.exp();
  const auto shrunk = attention * move.neg().exp();
  const auto most = (grown / shrunk.sum(-1, true)).clamp_max(1);
  const auto least = shrunk / grown.sum(-1, true);
  const auto known = widest < widest_score_change;
  const auto change = at::where(of_queries(known), at::maximum(most - attention, attention - least),
                                at::maximum(attention, 1 - attention))
                          .masked_fill(hidden, 0);
  const auto shift = at::where(
      known, at::minimum((most - attention).clamp_min(0).sum(-1), (widest / 2).tanh()).clamp_max(1), 1);

  // How far values can be from their weighted mean: lemma 4.
  const auto square = [&](const at::Tensor& vectors) {
    return (vectors.matmul(norms_.output_gram[head]) * vectors).sum(-1).clamp_min(0);
  };
  const auto& values = values_[head];
  const auto& mixed = mixed_[head];
  const auto ends = square(values) + of_queries(square(mixed));
  const auto product = mixed.matmul(norms_.output_gram[head]).matmul(values.mT());
  const auto spread = (ends * (1 + expansion_loss) - 2 * product).clamp_min(0).sqrt();
  const auto bias =
      weights_.value_bias[head] + weights_.values[head].mv(block_.parts().attention_norm.shift());
  const auto farthest_value = square(mixed - bias).sqrt() +
                              norms_.values[head] * std::sqrt(static_cast<double>(weights_.queries.size(2)));
  const auto distances = at::minimum(spread + reach, of_queries(farthest_value)).masked_fill(hidden, 0);
  const auto farthest = distances.amax(-1);

  // Lemma 5.
  const auto moved_values = attention.mv(reach);
  const auto moved_attention = at::minimum((change * distances).sum(-1), 2 * shift * farthest);
  return at::minimum(moved_values + moved_attention, farthest);
}

at::Tensor BlockBound::attention(const AttentionBypass& bypass, const at::Tensor& stream,
                                 const at::Tensor& removed, const at::Tensor& radius) const {
  if (bypass.mode == BypassMode::none) {
    return head_differences(normalized_radius(stream, radius, model_.config().norm_epsilon)).sum(0);
  }
  const auto moved = normalized_radius(stream, radius, model_.config().norm_epsilon);
  const auto own_values_move = norms_.values.unsqueeze(1) * moved;  // (heads, length)
  // The removed output is known. Its replacement and the other heads can change with the stream.
  auto bound = removed.norm(2, {-1}).squeeze(0);
  const bool short_circuit = bypass.mode == BypassMode::short_circuit;
  if (!bypass.attends()) return short_circuit ? bound + own_values_move.sum(0) : bound;
  const auto differences = head_differences(moved);
  for (int64_t head = 0; head < differences.size(0); ++head) {
    if (!bypass.heads[static_cast<size_t>(head)]) {
      bound = bound + differences[head];
    } else if (short_circuit) {
      bound = bound + own_values_move[head];
    }
  }
  return bound;
}

at::Tensor BlockBound::mlp(const at::Tensor& stream, const at::Tensor& radius) const {
  const auto shape = activation_shape(model_.config().activation);
  const auto moved = normalized_radius(stream, radius, model_.config().norm_epsilon);
  const auto& mlp = block_.parts().mlp;
  const auto scaled = mlp.up().weight() * block_.parts().mlp_norm.scale();
  const auto before = mlp.up()(block_.mlp_norm(stream)).squeeze(0);
  const auto after = mlp.activate(before);
  const auto move = moved.unsqueeze(1) * scaled.norm(2, {1});  // (length, intermediate size)
  auto change =
      at::maximum((mlp.activate(before + move) - after).abs(), (mlp.activate(before - move) - after).abs());
  if (std::isfinite(shape.least)) {
    const auto passes =
        (before - move <= shape.lowest + 1e-3).logical_and(before + move >= shape.lowest - 1e-3);
    change = at::where(passes, at::maximum(change, after - shape.least), change);
  }
  auto activated = change.norm(2, {1});
  if (std::isfinite(shape.steepest)) {
    activated = at::minimum(activated, shape.steepest * norms_.up * moved);
  }
  return norms_.down * activated;
}

double BlockBound::any_attention() const {
  const double sphere = std::sqrt(static_cast<double>(model_.config().hidden_size));
  const auto bias = weights_.values.matmul(block_.parts().attention_norm.shift()) + weights_.value_bias;
  const auto constant = weights_.output.matmul(bias.unsqueeze(-1)).squeeze(-1).sum(0) + weights_.output_bias;
  return sphere * norms_.values.sum().item<double>() + constant.norm().item<double>();
}

}  // namespace attention_bypass
