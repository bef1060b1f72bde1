#include "scoring.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "lane_decoder.h"
#include "not_finite.h"
#include "plan_tree.h"
#include "prompt_cache.h"
#include "scored_rows.h"
#include "walk.h"

namespace attention_bypass {

namespace {

// What a process with libtorch at work takes before the first row does.
constexpr int64_t standing_bytes = int64_t{160} << 20;

// What rows of a request take, at most, of memory.
class Memory {
 public:
  explicit Memory(const ScoringRequest& request) : decode_(request.decode) {
    const auto& scorable = request.scorable;
    size_t sequence = 0;
    for (const auto& row : scorable.packed()) {
      int64_t scored = 0;
      for (size_t member = 0; member < row.begins.size(); ++member, ++sequence) {
        scored += std::ssize(scorable.sequences[sequence]) - scorable.first[sequence];
      }
      length_ = std::max<int64_t>(length_, std::ssize(row.tokens));
      scored_ = std::max(scored_, scored);
    }
  }

  // How many rows fit under these plans; 0 where not even one does.
  int64_t rows(const Model& model, const PlanTree& tree, int64_t budget) const {
    return std::max<int64_t>(0, budget - fixed(model)) / std::max<int64_t>(1, row_bytes(model, tree));
  }

 private:
  static int64_t hidden(const Model& model) { return model.config().hidden_size; }

  int64_t fixed(const Model& model) const {
    // Beside a slice, the positions and the piece of the vocabulary that meet in the head.
    return standing_bytes + Walk::slice_bytes(model, length_) +
           int64_t{3} * 4096 * hidden(model) * static_cast<int64_t>(sizeof(float));
  }

  int64_t row_bytes(const Model& model, const PlanTree& tree) const {
    const auto element = static_cast<int64_t>(c10::elementSize(model.dtype()));
    const int64_t stream = hidden(model) * static_cast<int64_t>(sizeof(float));
    // Two streams more, which a block writes before it lets go of what it read; and what is read of all.
    const int64_t streams = ((tree.stems() + 2) * length_ + tree.stems() * scored_) * stream;
    if (!decode_) return streams;
    int64_t attending = 0;
    for (int64_t block = 0; block < tree.blocks(); ++block) {
      for (const auto& fork : tree.forks(block)) attending += fork.attends() ? 1 : 0;
    }
    const int64_t prompts = attending * length_ * 2 * hidden(model) * element;
    const int64_t decoded = tree.stems() * scored_ * LaneDecoder::token_bytes(model);
    return prompts + std::max(streams, decoded);
  }

  int64_t length_ = 0, scored_ = 0;
  bool decode_;
};

// A request's rows under the plans that travel together.
class Journey {
 public:
  Journey(const Model& model, const ScoringRequest& request, const ScoredRows& rows,
          const std::vector<BypassPlan>& plans)
      : model_(model),
        request_(request),
        rows_(rows),
        tree_(plans),
        plan_count_(plans.size()),
        walk_(model, tree_, rows, request.decode ? &cache_ : nullptr) {}

  // At worst every row leaves the true tokens at once.
  double operations() const {
    const Operations costs(model_.config());
    const auto scored = static_cast<double>(tree_.stems()) * static_cast<double>(rows_.targets.size());
    const double decoded =
        request_.decode ? static_cast<double>(model_.config().block_count) * costs.block() + costs.head() : 0;
    return walk_.operations() + scored * (costs.head() + decoded);
  }

  // left: what tells the control of the operations that are left of this journey.
  template <typename Left>
  std::vector<ScoringResult::Scores> run(Control& control, const Left& left) {
    left(operations());
    auto stems = score(walk_.run(control), control);
    if (request_.decode) {
      auto lanes = diverged(stems);
      left(LaneDecoder::operations(model_, lanes));
      LaneDecoder(model_, tree_, cache_, std::move(lanes)).run(control);
    }
    std::vector<ScoringResult::Scores> plans;
    for (size_t plan = 0; plan < plan_count_; ++plan) {
      plans.push_back(stems[static_cast<size_t>(tree_.stem_of(plan))]);
    }
    return plans;
  }

 private:
  std::vector<ScoringResult::Scores> score(std::vector<at::Tensor> streams, Control& control) const {
    const auto places = at::tensor(rows_.places, at::kLong).to(model_.device());
    std::vector<at::Tensor> read;
    std::vector<int64_t> targets;
    for (auto& stream : streams) {
      read.push_back(stream.flatten(0, 1).index_select(0, places));
      stream.reset();
      targets.insert(targets.end(), rows_.targets.begin(), rows_.targets.end());
    }
    const auto scores = score_tokens(model_, at::cat(read), targets, request_.scheme, control);
    if (const auto position = scores.not_finite()) refuse(*position, control);
    std::vector<ScoringResult::Scores> stems(read.size());
    const auto count = static_cast<std::ptrdiff_t>(rows_.targets.size());
    for (size_t stem = 0; stem < stems.size(); ++stem) {
      const auto part = [begin = static_cast<std::ptrdiff_t>(stem) * count, count](const auto& values) {
        return std::decay_t<decltype(values)>(values.begin() + begin, values.begin() + begin + count);
      };
      stems[stem].log_likelihood = part(scores.log_likelihood);
      stems[stem].entropy = part(scores.entropy);
      stems[stem].scheme_log_likelihood = part(scores.scheme_log_likelihood);
      stems[stem].margin = part(scores.margin);
      stems[stem].predicted = part(scores.predicted);
    }
    return stems;
  }

  // position: among the scored tokens of all stems whose logits are not finite.
  [[noreturn]] void refuse(size_t position, Control& control) const {
    const auto stem = static_cast<int64_t>(position / rows_.targets.size());
    const auto place = static_cast<int64_t>(position % rows_.targets.size());
    const auto after = std::upper_bound(rows_.offsets.begin(), rows_.offsets.end(), place);
    const auto sequence = static_cast<size_t>(after - rows_.offsets.begin() - 1);
    throw_not_finite(model_, request_.scorable.sequences[sequence], tree_.plan(stem), "scoring", control);
  }

  // What is decoded begins as what was predicted; these lanes go on from their first mismatch. Each row is of
  // one sequence here.
  std::vector<Lane> diverged(std::vector<ScoringResult::Scores>& stems) const {
    std::vector<Lane> lanes;
    for (size_t stem = 0; stem < stems.size(); ++stem) {
      stems[stem].decoded = stems[stem].predicted;
      for (size_t row = 0; row < static_cast<size_t>(rows_.count()); ++row) {
        const auto& tokens = request_.scorable.sequences[row];
        const int64_t first = request_.scorable.first[row];
        const int64_t end = std::ssize(tokens);
        auto* decoded = stems[stem].decoded.data() + rows_.offsets[row];
        int64_t position = first;
        while (position < end && decoded[position - first] == tokens[static_cast<size_t>(position)]) {
          ++position;
        }
        // A mismatch at the last token leaves nothing to decode.
        if (position + 1 < end) {
          lanes.push_back({static_cast<int64_t>(stem), static_cast<int64_t>(row), position, end, decoded,
                           first, &tokens});
        }
      }
    }
    return lanes;
  }

  const Model& model_;
  const ScoringRequest& request_;
  const ScoredRows& rows_;
  PlanTree tree_;
  size_t plan_count_;
  PromptCache cache_;
  Walk walk_;
};

}  // namespace

int64_t groups_that_fit(const Model& model, const ScoringRequest& request) {
  const int64_t wanted = std::ssize(request.scorable.groups);
  const auto fitting =
      std::max<int64_t>(1, Memory(request).rows(model, PlanTree(request.plans), request.memory));
  // Equal parts, so that none is left over that is too small for the machine.
  const int64_t parts = (wanted + fitting - 1) / fitting;
  return (wanted + parts - 1) / parts;
}

ScoringResult score(const Model& model, const ScoringRequest& request, Control& control) {
  const c10::InferenceMode inference;
  const Memory memory(request);
  const auto group = [&request](size_t begin, size_t count) {
    const auto first = request.plans.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::vector<BypassPlan>(
        first, first + static_cast<std::ptrdiff_t>(std::min(count, request.plans.size() - begin)));
  };
  const int64_t wanted = std::ssize(request.scorable.groups);
  size_t together = request.plans.size();
  while (together > 1 && memory.rows(model, PlanTree(group(0, together)), request.memory) < wanted) {
    together = (together + 1) / 2;
  }
  TORCH_INTERNAL_ASSERT(
      !request.decode || request.scorable.groups.size() == request.scorable.sequences.size(),
      "sequences that are decoded do not share rows");
  const ScoredRows rows(request.scorable, model.device());
  std::vector<std::unique_ptr<Journey>> journeys;
  double later = 0;
  for (size_t begin = 0; begin < request.plans.size(); begin += together) {
    journeys.push_back(std::make_unique<Journey>(model, request, rows, group(begin, together)));
    later += journeys.back()->operations();
  }
  ScoringResult result;
  for (auto& journey : journeys) {
    later -= journey->operations();
    auto plans = journey->run(control, [&](double now) { control.expect(now + later); });
    std::move(plans.begin(), plans.end(), std::back_inserter(result.plans));
    journey.reset();
  }
  result.operations = control.done();
  return result;
}

}  // namespace attention_bypass
