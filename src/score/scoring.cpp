#include "score/scoring.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/transfer.h"
#include "decode/decoder.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"
#include "score/scoring_memory.h"
#include "score/targets.h"

namespace attention_bypass {

namespace {

// A row under a plan whose greedy decoding continues.
struct Decoded {
  int64_t node, row;
  int64_t position;  // the index of the last known token
  int64_t end;       // the length of the sequence
  int64_t first;     // the index of the first scored token
  int64_t* tokens;   // the tokens from `first` on; known up to `position`
  const TokenRow* sequence;
};

// The rows of a request under the plans that are scored together.
class PlanBatch {
 public:
  PlanBatch(const Model& model, const ScoringRequest& request, const Targets& targets, const PassRows& rows,
            const std::vector<BypassPlan>& plans)
      : model_(model),
        request_(request),
        targets_(targets),
        rows_(rows),
        plans_(std::make_shared<const Plans>(model, plans)),
        pass_(model, *plans_, rows, request.decode ? cache_.get() : nullptr, {},
              rows_at_once(model, rows.length(), request.memory)) {}

  // Returns an upper bound of the operations: every row is decoded from its first scored token on.
  double operations() const {
    const Operations costs(model_.config());
    const auto scored =
        static_cast<double>(plans_->tree.nodes()) * static_cast<double>(targets_.tokens.size());
    const double decoded = request_.decode ? Decoder::operations(model_, rows_.length()) : 0;
    return pass_.operations() + scored * (costs.head() + decoded);
  }

  // set_left: called with the number of operations that are left in this batch.
  template <typename SetLeft>
  std::vector<ScoringResult::Scores> run(Control& control, const SetLeft& set_left) {
    set_left(operations());
    auto nodes = score(pass_.run(control), control);
    if (request_.decode) decode(diverged(nodes), control, set_left);
    std::vector<ScoringResult::Scores> plans;
    for (size_t plan = 0; plan < plans_->table.plans().size(); ++plan) {
      plans.push_back(nodes[static_cast<size_t>(plans_->tree.node_of(plan))]);
    }
    return plans;
  }

 private:
  const BypassPlan& plan_of(int64_t node) const { return plans_->table.plans()[plans_->tree.plan_of(node)]; }

  std::vector<ScoringResult::Scores> score(std::vector<at::Tensor> streams, Control& control) const {
    const auto places = to_device(targets_.places, model_.device());
    std::vector<at::Tensor> read;
    std::vector<int64_t> targets;
    for (auto& stream : streams) {
      read.push_back(stream.flatten(0, 1).index_select(0, places));
      stream.reset();
      targets.insert(targets.end(), targets_.tokens.begin(), targets_.tokens.end());
    }
    const auto scores =
        score_tokens(model_, at::cat(read), targets, request_.scheme, request_.top, request_.memory, control);
    if (const auto position = scores.not_finite()) throw_not_finite_at(*position, control);
    std::vector<ScoringResult::Scores> nodes(read.size());
    const auto count = static_cast<std::ptrdiff_t>(targets_.tokens.size());
    for (size_t node = 0; node < nodes.size(); ++node) {
      const auto part = [node, count](const auto& values, std::ptrdiff_t width = 1) {
        const auto begin = values.begin() + static_cast<std::ptrdiff_t>(node) * count * width;
        return std::decay_t<decltype(values)>(begin, begin + count * width);
      };
      nodes[node].log_likelihood = part(scores.log_likelihood);
      nodes[node].entropy = part(scores.entropy);
      nodes[node].scheme_log_likelihood = part(scores.scheme_log_likelihood);
      nodes[node].margin = part(scores.margin);
      nodes[node].predicted = part(scores.predicted);
      nodes[node].top_tokens = part(scores.top_tokens, request_.top);
      nodes[node].top_log_probabilities = part(scores.top_log_probabilities, request_.top);
    }
    return nodes;
  }

  // Throws NOT_FINITE. position: the index of a token among the scored tokens of all nodes.
  [[noreturn]] void throw_not_finite_at(size_t position, Control& control) const {
    const auto node = static_cast<int64_t>(position / targets_.tokens.size());
    const auto place = static_cast<int64_t>(position % targets_.tokens.size());
    const auto after = std::upper_bound(targets_.offsets.begin(), targets_.offsets.end(), place);
    const auto sequence = static_cast<size_t>(after - targets_.offsets.begin() - 1);
    throw_not_finite(model_, request_.scorable.sequences[sequence], plan_of(node), "scoring", control);
  }

  // Sets the decoded tokens to the predicted tokens, which are correct up to and including the first
  // mismatch. Returns the rows that have a mismatch. Requires one sequence for each row.
  std::vector<Decoded> diverged(std::vector<ScoringResult::Scores>& nodes) const {
    std::vector<Decoded> decoded;
    for (size_t node = 0; node < nodes.size(); ++node) {
      nodes[node].decoded = nodes[node].predicted;
      for (size_t row = 0; row < static_cast<size_t>(rows_.count()); ++row) {
        const auto& sequence = request_.scorable.sequences[row];
        const int64_t first = request_.scorable.first[row];
        const int64_t end = std::ssize(sequence);
        auto* tokens = nodes[node].decoded.data() + targets_.offsets[row];
        int64_t position = first;
        while (position < end && tokens[position - first] == sequence[static_cast<size_t>(position)]) {
          ++position;
        }
        // After a mismatch at the last token, nothing is left to decode.
        if (position + 1 < end) {
          decoded.push_back({static_cast<int64_t>(node), static_cast<int64_t>(row), position, end, first,
                             tokens, &sequence});
        }
      }
    }
    // Sorted by row: the plans of a row read the same prompt.
    std::sort(decoded.begin(), decoded.end(), [](const Decoded& left, const Decoded& right) {
      return left.row != right.row ? left.row < right.row : left.node < right.node;
    });
    if (Decoder::computes_slots(model_)) {
      // The rows that end first are last, so that the others stay in the first slots.
      std::stable_sort(decoded.begin(), decoded.end(), [](const Decoded& left, const Decoded& right) {
        return left.end - left.position > right.end - right.position;
      });
    }
    return decoded;
  }

  template <typename SetLeft>
  void decode(std::vector<Decoded> active, Control& control, const SetLeft& set_left) {
    double operations = 0;
    int64_t most = 0;
    for (const auto& one : active) {
      const int64_t tokens = one.end - 1 - one.position;
      operations += static_cast<double>(tokens) * Decoder::operations(model_, one.end);
      most = std::max(most, tokens);
    }
    set_left(operations);
    Decoder decoder(model_);
    decoder.reserve(std::ssize(active), most);
    std::vector<int64_t> ids;
    for (const auto& one : active) {
      ids.push_back(
          decoder.add({plans_, cache_, one.row, one.node, one.position, one.end - 1 - one.position, true}));
    }
    while (!active.empty()) {
      std::vector<int64_t> tokens;
      for (const auto& one : active) tokens.push_back(one.tokens[one.position - one.first]);
      const auto best = best_tokens(model_, decoder.step(ids, tokens, control), request_.memory, control);
      if (best.not_finite) throw_not_finite_at(active[*best.not_finite], control);
      size_t kept = 0;
      for (size_t place = 0; place < active.size(); ++place) {
        auto& one = active[place];
        ++one.position;
        one.tokens[one.position - one.first] = best.tokens[place];
        if (one.position + 1 >= one.end) {
          decoder.remove(ids[place]);
          continue;
        }
        active[kept] = one;
        ids[kept++] = ids[place];
      }
      active.resize(kept);
      ids.resize(kept);
    }
  }

  [[noreturn]] void throw_not_finite_at(const Decoded& one, Control& control) const {
    TokenRow tokens(one.sequence->begin(), one.sequence->begin() + one.first);
    tokens.insert(tokens.end(), one.tokens, one.tokens + (one.position - one.first) + 1);
    throw_not_finite(model_, tokens, plan_of(one.node), "decoding", control);
  }

  const Model& model_;
  const ScoringRequest& request_;
  const Targets& targets_;
  const PassRows& rows_;
  std::shared_ptr<const Plans> plans_;
  std::shared_ptr<KeyValueCache> cache_ = std::make_shared<KeyValueCache>();
  ForwardPass pass_;
};

}  // namespace

int64_t groups_that_fit(const Model& model, const ScoringRequest& request) {
  const int64_t wanted = std::ssize(request.scorable.groups);
  const auto fitting =
      std::max<int64_t>(1, ScoringMemory(request).rows(model, PlanTree(PlanTable(*request.plans))));
  // Parts of equal size, so that the last one is not small and slow.
  const int64_t parts = (wanted + fitting - 1) / fitting;
  return (wanted + parts - 1) / parts;
}

ScoringResult score(const Model& model, const ScoringRequest& request, Control& control) {
  const c10::InferenceMode inference;
  const ScoringMemory memory(request);
  const auto& plans = *request.plans;
  const auto group = [&plans](size_t begin, size_t count) {
    const auto first = plans.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::vector<BypassPlan>(
        first, first + static_cast<std::ptrdiff_t>(std::min(count, plans.size() - begin)));
  };
  const int64_t wanted = std::ssize(request.scorable.groups);
  size_t together = plans.size();
  while (together > 1 && memory.rows(model, PlanTree(PlanTable(group(0, together)))) < wanted) {
    together = (together + 1) / 2;
  }
  TORCH_INTERNAL_ASSERT(
      !request.decode || request.scorable.groups.size() == request.scorable.sequences.size(),
      "expected each decoded sequence in a row of its own");
  const Targets targets(request.scorable);
  const PassRows rows(targets.rows, targets.columns, model.device());
  std::vector<std::unique_ptr<PlanBatch>> batches;
  double later_operations = 0;
  for (size_t begin = 0; begin < plans.size(); begin += together) {
    batches.push_back(std::make_unique<PlanBatch>(model, request, targets, rows, group(begin, together)));
    later_operations += batches.back()->operations();
  }
  ScoringResult result;
  for (auto& batch : batches) {
    later_operations -= batch->operations();
    auto scores = batch->run(control, [&](double left) { control.expect(left + later_operations); });
    std::move(scores.begin(), scores.end(), std::back_inserter(result.plans));
    batch.reset();
  }
  result.operations = control.done();
  return result;
}

}  // namespace attention_bypass
