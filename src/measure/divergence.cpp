#include "measure/divergence.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

#include "base/finite.h"
#include "base/operations.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"
#include "forward/row_reader.h"
#include "measure/block_bound.h"

namespace attention_bypass {

namespace {

// A relative margin for rounding in float64; the actual error is much smaller.
constexpr double rounding = 1e-9;
constexpr int64_t positions_at_once = 64;

std::vector<double> to_vector(const at::Tensor& tensor) {
  const auto data = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {data.const_data_ptr<double>(), data.const_data_ptr<double>() + data.numel()};
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
  size_t number;         // the index of the plan
  at::Tensor stream;     // (1, length, hidden size)
  at::Tensor radius;     // (length), a bound of its distance from the unmodified stream
  bool differs = false;  // whether some block so far has a bypass
  Divergence divergence;
};

// The state of a row in the unmodified model and under each plan.
class Row {
 public:
  Row(const Model& model, const TokenRow& tokens, const Plans& plans)
      : model_(model),
        plans_(plans),
        tokens_(tokens),
        batch_(TokenBatch::of(std::vector<TokenRow>{tokens}, model.device())),
        positions_(model.positions(batch_.positions)),
        visibility_(batch_.positions, batch_.key_positions, batch_.even),
        stream_(model.embed(batch_.ids, batch_.positions)) {
    for (const auto& plan : plans.table.plans()) {
      bypassed_.push_back(
          {plan, bypassed_.size(), stream_, at::zeros({length()}, stream_.options()), false, {}});
    }
  }

  // Runs the block. norms: of the block, required if some plan has a bypass in this block or before.
  void pass(const Block& block, size_t index, const std::optional<BlockNorms>& norms);
  // Compares the next-token distributions and computes the bounds of theorem 3. longest: the norm of the
  // longest row of the output embedding times the scale of the final norm.
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
  const Plans& plans_;
  const TokenRow& tokens_;
  TokenBatch batch_;
  Positions positions_;
  Visibility visibility_;
  at::Tensor stream_;
  std::vector<Bypassed> bypassed_;
};

void Row::pass(const Block& block, size_t index, const std::optional<BlockNorms>& norms) {
  static const CompiledBypass none;
  RowReader reader(visibility_);
  BlockStep step(block, stream_, positions_, reader);
  BlockStep::Parts own;
  const auto next = step.after(RowBypasses(none), false, &own);
  const auto length_of_next = to_vector(next.norm(2, {-1}));
  std::optional<BlockBound> bound;
  for (auto& one : bypassed_) {
    const auto& bypass = one.plan[index];
    one.differs = one.differs || !bypass.none();
    Divergence::Block result;
    if (one.differs) {
      const auto block_number = static_cast<int64_t>(index);
      const RowBypasses compiled(
          plans_.compiled.at(block_number, plans_.table.number(one.number, block_number)));
      if (!bound) {
        bound.emplace(model_, block, norms.value(), step.projections(),
                      visible(length(), block.window(), model_.device()));
      }
      // The block's outputs with the bypass on the unmodified stream.
      BlockStep::Parts instead;
      step.after(compiled, false, &instead);
      const auto removed = instead.attention.defined() ? own.attention - instead.attention : own.attention;
      const auto reached = one.radius + bound->attention(bypass.attention, stream_, removed, one.radius);
      const auto mlp =
          bypass.mlp.mode == BypassMode::none
              ? bound->mlp(own.mlp_input, block.parallel() ? one.radius : reached)
              : (instead.mlp.defined() ? own.mlp - instead.mlp : own.mlp).norm(2, {-1}).squeeze(0);
      // No float64 distance is larger than the largest float64 number, so this is still a bound.
      one.radius = ((reached + mlp) * (1 + rounding)).clamp_max(std::numeric_limits<double>::max());
      if (bypass.attention.mode == BypassMode::zero && bypass.attention.heads.empty()) {
        result.contribution = to_vector(own.attention.norm(2, {-1}));
        result.contribution_bound = bound->any_attention() * (1 + rounding);
      }
      one.stream = BlockStep(block, one.stream, positions_, reader).after(compiled);
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
      auto& [plan, number, stream, radius, differs, divergence] = bypassed_[index];
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
  TORCH_INTERNAL_ASSERT(model.dtype() == at::kDouble, "expected a float64 model for divergence");
  double tokens = 0;
  for (const auto& row : rows) tokens += static_cast<double>(std::ssize(row));
  // An estimate: the bounds need several times the operations of the model.
  const double row_operations =
      Operations(model.config()).block() * static_cast<double>(1 + 5 * plans.size());
  control.expect(static_cast<double>(model.config().block_count) * row_operations * tokens);

  const Plans compiled(model, plans);
  std::vector<Row> states;
  states.reserve(rows.size());
  for (const auto& row : rows) states.emplace_back(model, row, compiled);
  bool bypassed = false;
  for (int64_t number = 0; number < model.config().block_count; ++number) {
    const auto index = static_cast<size_t>(number);
    const auto block = model.block(number, static_cast<int64_t>(tokens));
    for (const auto& plan : plans) bypassed = bypassed || !plan[index].none();
    const auto norms = bypassed ? std::optional<BlockNorms>(*block) : std::nullopt;
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
