#include "divergence.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

#include "block_bound.h"
#include "finite.h"
#include "head_bypass.h"
#include "not_finite.h"
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

bool finite(const Divergence& divergence) {
  const auto all = [](const std::vector<double>& values) {
    return all_finite(values.data(), std::ssize(values), at::kDouble);
  };
  return all(divergence.divergence) && all(divergence.divergence_bound) &&
         std::all_of(divergence.blocks.begin(), divergence.blocks.end(), [&](const Divergence::Block& block) {
           return all(block.stream) && all(block.distance) && all(block.bound) && all(block.contribution);
         });
}

// A row under a plan.
struct Bypassed {
  const BypassPlan& plan;
  at::Tensor stream;  // (1, length, hidden size)
  at::Tensor radius;  // how far that can be from the unmodified model's, (length)
  bool parted = false;
  Divergence divergence;
};

// A row as the unmodified model computes it, and under each plan.
class Row {
 public:
  Row(const Model& model, const TokenRow& tokens, const std::vector<BypassPlan>& plans)
      : model_(model),
        tokens_(tokens),
        batch_(TokenBatch::of(std::vector<TokenRow>{tokens}, model.device())),
        rotation_(model.rotation(batch_.positions)),
        visibility_(batch_.positions, batch_.key_positions, batch_.even),
        stream_(model.embed(batch_.ids, batch_.positions)) {
    for (const auto& plan : plans) {
      bypassed_.push_back({plan, stream_, at::zeros({length()}, stream_.options()), false, {}});
    }
  }

  // norms: of the block, where a plan has parted from the unmodified model by then.
  void pass(const Model::Block& block, size_t index, const std::optional<BlockNorms>& norms);
  // The next tokens, and what the distance of the streams can make of them: theorem 3. longest: the length of
  // the longest row of the output embedding with the final norm's scale.
  void compare_outputs(const at::Tensor& embedding, const at::Tensor& longest, Control& control);

  // Throws NOT_FINITE.
  std::vector<Divergence> take(Control& control) {
    std::vector<Divergence> divergences;
    for (auto& one : bypassed_) {
      if (!finite(one.divergence)) {
        const bool itself = !all_finite(stream_);
        const BypassPlan plain(one.plan.size());
        throw_not_finite(model_, tokens_, itself ? plain : one.plan, "measuring divergence", control);
      }
      divergences.push_back(std::move(one.divergence));
    }
    return divergences;
  }

 private:
  int64_t length() const { return stream_.size(1); }

  const Model& model_;
  const TokenRow& tokens_;
  TokenBatch batch_;
  at::Tensor rotation_;
  Visibility visibility_;
  at::Tensor stream_;
  std::vector<Bypassed> bypassed_;
};

void Row::pass(const Model::Block& block, size_t index, const std::optional<BlockNorms>& norms) {
  const bool parallel = model_.parallel_residual();
  const auto projections = block.project(block.normed(stream_), rotation_);
  const auto added = block.output(block.mix(projections, visibility_.within(block.window())));
  const auto between = parallel ? stream_ : stream_ + added;
  const auto next = parallel ? stream_ + added + block.mlp(stream_) : between + block.mlp(between);
  const auto length_of_next = to_vector(next.norm(2, {-1}));
  std::optional<BlockBound> bound;
  for (auto& one : bypassed_) {
    const auto& bypass = one.plan[index];
    one.parted = one.parted || bypass.mode != BypassMode::none;
    Divergence::Block result;
    if (one.parted) {
      if (!bound) {
        bound.emplace(model_, block, norms.value(), projections,
                      visible(length(), block.window(), model_.device()));
      }
      const auto reached = one.radius + bound->attention(bypass, stream_, added, one.radius);
      // No distance that float64 holds is larger than its largest number, so that this still is a bound.
      one.radius = ((reached + bound->mlp(between, parallel ? one.radius : reached)) * (1 + rounding))
                       .clamp_max(std::numeric_limits<double>::max());
      if (bypass.mode == BypassMode::zero && bypass.heads.empty()) {
        result.contribution = to_vector(added.norm(2, {-1}));
        result.contribution_bound = bound->any_attention() * (1 + rounding);
      }
      const auto instead = contribution(block, bypass, one.stream, rotation_, visibility_);
      const auto attended = instead.defined() ? one.stream + instead : one.stream;
      one.stream = attended + block.mlp(parallel ? one.stream : attended);
    } else {
      one.stream = next;
    }
    result.stream = length_of_next;
    result.distance = to_vector((next - one.stream).norm(2, {-1}));
    result.bound = to_vector(one.radius);
    one.divergence.blocks.push_back(std::move(result));
  }
  stream_ = next;
}

void Row::compare_outputs(const at::Tensor& embedding, const at::Tensor& longest, Control& control) {
  std::vector<at::Tensor> reaches;
  for (auto& one : bypassed_) {
    const auto moved = normalized_radius(stream_, one.radius, model_.config().norm_epsilon);
    const auto reach = (longest * moved * (1 + rounding)).clamp_max(std::numeric_limits<double>::max() / 2);
    one.divergence.divergence_bound = to_vector(at::minimum(2 * reach, reach.square() / 2));
    reaches.push_back(reach);
  }
  for (int64_t begin = 0; begin < length(); begin += positions_at_once) {
    const int64_t count = std::min(positions_at_once, length() - begin);
    const auto logits = [&](const at::Tensor& hidden) {
      return at::linear(model_.final_norm(hidden.narrow(1, begin, count)), embedding).squeeze(0);
    };
    const auto ours = logits(stream_);
    const auto probable = ours.log_softmax(-1);
    const auto best = std::get<0>(ours.topk(std::min<int64_t>(2, ours.size(-1)), -1));
    const auto margin = best.select(-1, 0) - best.select(-1, -1);
    for (size_t index = 0; index < bypassed_.size(); ++index) {
      control.check();
      auto& [plan, stream, radius, parted, divergence] = bypassed_[index];
      const auto theirs = logits(stream);
      const auto kl = (probable.exp() * (probable - theirs.log_softmax(-1))).sum(-1).clamp_min(0);
      const auto changed = ours.argmax(-1) != theirs.argmax(-1);
      const auto certain = margin > 2 * reaches[index].narrow(0, begin, count);
      for (int64_t position = 0; position < count; ++position) {
        divergence.divergence.push_back(kl[position].item<double>());
        divergence.changed.push_back(changed[position].item<bool>());
        divergence.certain.push_back(certain[position].item<bool>());
      }
    }
  }
}

}  // namespace

std::vector<std::vector<Divergence>> diverge(const Model& model, const std::vector<TokenRow>& rows,
                                             const std::vector<BypassPlan>& plans, Control& control) {
  const c10::InferenceMode inference;
  TORCH_INTERNAL_ASSERT(model.dtype() == at::kDouble, "divergence is measured in float64");
  double tokens = 0;
  for (const auto& row : rows) tokens += static_cast<double>(std::ssize(row));
  // The bounds take a few times what a model does.
  const double row_operations =
      Operations(model.config()).block() * static_cast<double>(1 + 5 * plans.size());
  control.expect(static_cast<double>(model.config().block_count) * row_operations * tokens);

  std::vector<Row> states;
  states.reserve(rows.size());
  for (const auto& row : rows) states.emplace_back(model, row, plans);
  bool parted = false;
  for (int64_t number = 0; number < model.config().block_count; ++number) {
    const auto index = static_cast<size_t>(number);
    const auto block = model.block(number);
    for (const auto& plan : plans) parted = parted || plan[index].mode != BypassMode::none;
    const auto norms = parted ? std::optional<BlockNorms>(*block) : std::nullopt;
    for (size_t row = 0; row < rows.size(); ++row) {
      control.check();
      states[row].pass(*block, index, norms);
      control.advance(row_operations * static_cast<double>(std::ssize(rows[row])));
    }
  }

  const auto embedding = model.output_embedding(0, model.config().vocabulary_size);
  const auto longest = (embedding * model.final_scale()).norm(2, {1}).max();
  std::vector<std::vector<Divergence>> divergences;
  for (auto& state : states) {
    state.compare_outputs(embedding, longest, control);
    divergences.push_back(state.take(control));
  }
  return divergences;
}

}  // namespace attention_bypass
