#include "divergence.h"

#include <algorithm>

#include "block_bound.h"
#include "head_bypass.h"
#include "operations.h"

namespace attention_bypass {

namespace {

// Rounding in float64, with much to spare.
constexpr double rounding = 1e-9;
constexpr int64_t positions_at_once = 64;

std::vector<double> to_vector(const at::Tensor& tensor) {
  const auto data = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {data.const_data_ptr<double>(), data.const_data_ptr<double>() + data.numel()};
}

// What one block's attention adds under a bypass; undefined where it adds nothing.
at::Tensor contribution(const Model::Block& block, const BlockBypass& bypass, const at::Tensor& stream,
                        const at::Tensor& rotation, Visibility& visibility) {
  const auto normed = [&] { return block.normed(stream); };
  if (!bypass.attends()) return block.bypassed(bypass, normed);
  const auto projections = block.project(normed(), rotation);
  const auto mixed = block.mix(projections, visibility.within(block.window()));
  return block.output(bypass.heads.empty() ? mixed : bypass_heads(bypass, mixed, projections.values));
}

at::Tensor visible(int64_t length, int64_t window, at::Device device) {
  const auto positions = at::arange(length, at::TensorOptions(at::kLong).device(device));
  const auto back = positions.unsqueeze(1) - positions.unsqueeze(0);
  const auto seen = back >= 0;
  return window == 0 ? seen : seen.logical_and(back < window);
}

// Both models' next tokens, and what the distance of their streams can make of them: theorem 3.
void compare_outputs(const Model& model, const at::Tensor& stream, const at::Tensor& other,
                     const at::Tensor& radius, Divergence& divergence, Control& control) {
  const int64_t vocabulary = model.config().vocabulary_size;
  const auto embedding = model.output_embedding(0, vocabulary);
  const auto moved = normalized_radius(stream, radius, model.config().norm_epsilon);
  const auto reach = (embedding * model.final_scale()).norm(2, {1}).max() * moved * (1 + rounding);
  const auto bound = at::minimum(2 * reach, reach.square() / 2);
  divergence.divergence_bound = to_vector(bound);
  for (int64_t begin = 0; begin < stream.size(1); begin += positions_at_once) {
    control.check();
    const int64_t count = std::min(positions_at_once, stream.size(1) - begin);
    const auto logits = [&](const at::Tensor& hidden) {
      return at::linear(model.final_norm(hidden.narrow(1, begin, count)), embedding).squeeze(0);
    };
    const auto ours = logits(stream);
    const auto theirs = logits(other);
    const auto probable = ours.log_softmax(-1);
    const auto kl = (probable.exp() * (probable - theirs.log_softmax(-1))).sum(-1).clamp_min(0);
    const auto best = std::get<0>(ours.topk(std::min<int64_t>(2, vocabulary), -1));
    const auto margin = best.select(-1, 0) - best.select(-1, -1);
    const auto changed = ours.argmax(-1) != theirs.argmax(-1);
    const auto certain = margin > 2 * reach.narrow(0, begin, count);
    for (int64_t position = 0; position < count; ++position) {
      divergence.divergence.push_back(kl[position].item<double>());
      divergence.changed.push_back(changed[position].item<bool>());
      divergence.certain.push_back(certain[position].item<bool>());
    }
  }
}

}  // namespace

Divergence diverge(const Model& model, const TokenRow& tokens, const BypassPlan& plan, Control& control) {
  const c10::InferenceMode inference;
  TORCH_INTERNAL_ASSERT(model.dtype() == at::kDouble, "divergence is measured in float64");
  const auto batch = TokenBatch::of(std::vector<TokenRow>{tokens}, model.device());
  const auto rotation = model.rotation(batch.positions);
  Visibility visibility(batch.positions, batch.key_positions, batch.even);
  // The bounds take a few times what the two models do.
  const double block_operations =
      6 * Operations(model.config()).block() * static_cast<double>(std::ssize(tokens));
  control.expect(static_cast<double>(model.config().block_count) * block_operations);

  auto stream = model.embed(batch.ids, batch.positions);
  auto other = stream;
  auto radius = at::zeros({std::ssize(tokens)}, stream.options());
  bool parted = false;
  Divergence divergence;
  for (int64_t index = 0; index < model.config().block_count; ++index) {
    control.check();
    const auto block = model.block(index);
    const auto& bypass = plan[static_cast<size_t>(index)];
    parted = parted || bypass.mode != BypassMode::none;
    Divergence::Block result;

    const auto projections = block->project(block->normed(stream), rotation);
    const auto added = block->output(block->mix(projections, visibility.within(block->window())));
    const bool parallel = model.parallel_residual();
    const auto between = parallel ? stream : stream + added;
    if (parted) {
      const BlockBound bound(model, *block, projections,
                             visible(std::ssize(tokens), block->window(), model.device()));
      const auto attended = radius + bound.attention(bypass, stream, added, radius);
      radius = (attended + bound.mlp(between, parallel ? radius : attended)) * (1 + rounding);
      if (bypass.mode == BypassMode::zero && bypass.heads.empty()) {
        result.contribution = to_vector(added.norm(2, {-1}));
        result.contribution_bound = bound.any_attention() * (1 + rounding);
      }
    }
    if (parted) {
      const auto instead = contribution(*block, bypass, other, rotation, visibility);
      const auto attended = instead.defined() ? other + instead : other;
      other = attended + block->mlp(parallel ? other : attended);
    }
    stream = parallel ? stream + added + block->mlp(stream) : between + block->mlp(between);
    if (!parted) other = stream;
    result.stream = to_vector(stream.norm(2, {-1}));
    result.distance = to_vector((stream - other).norm(2, {-1}));
    result.bound = to_vector(radius);
    divergence.blocks.push_back(std::move(result));
    control.advance(block_operations);
  }
  compare_outputs(model, stream, other, radius, divergence, control);
  return divergence;
}

}  // namespace attention_bypass
