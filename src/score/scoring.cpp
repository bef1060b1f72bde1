#include "score/scoring.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "decode/decoder.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"
#include "score/targets.h"

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
    return standing_bytes + ForwardPass::slice_bytes(model, length_) +
           int64_t{3} * 4096 * hidden(model) * static_cast<int64_t>(sizeof(float));
  }

  int64_t row_bytes(const Model& model, const PlanTree& tree) const {
    const auto element = static_cast<int64_t>(c10::elementSize(model.dtype()));
    const int64_t stream = hidden(model) * static_cast<int64_t>(sizeof(float));
    // Two streams more, which a block writes before it frees what it read; and what is read of all.
    const int64_t streams = ((tree.nodes() + 2) * length_ + tree.nodes() * scored_) * stream;
    if (!decode_) return streams;
    int64_t attending = 0;
    for (int64_t block = 0; block < tree.blocks(); ++block) {
      for (const auto& split : tree.splits(block)) attending += split.attends ? 1 : 0;
    }
    const int64_t prompts = attending * length_ * 2 * hidden(model) * element;
    const int64_t decoded = tree.nodes() * scored_ * Decoder::token_bytes(model);
    return prompts + std::max(streams, decoded);
  }

  int64_t length_ = 0, scored_ = 0;
  bool decode_;
};

// One row under one plan that greedy decoding goes on for.
struct Decoded {
  int64_t node, row;
  int64_t position;  // of the last token that is known
  int64_t end;       // the length of the sequence
  int64_t first;     // the first token that is scored
  int64_t* tokens;   // of the tokens from `first` on: up to `position` they are known
  const TokenRow* sequence;
};

// A request's rows under plans that are scored together.
class PlanBatch {
 public:
  PlanBatch(const Model& model, const ScoringRequest& request, const Targets& targets, const PassRows& rows,
            const std::vector<BypassPlan>& plans)
      : model_(model),
        request_(request),
        targets_(targets),
        rows_(rows),
        plans_(std::make_shared<const Plans>(model, plans)),
        pass_(model, *plans_, rows, request.decode ? cache_.get() : nullptr) {}

  // At worst every row leaves the true tokens at once.
  double operations() const {
    const Operations costs(model_.config());
    const auto scored =
        static_cast<double>(plans_->tree.nodes()) * static_cast<double>(targets_.tokens.size());
    const double decoded = request_.decode ? Decoder::operations(model_, rows_.length()) : 0;
    return pass_.operations() + scored * (costs.head() + decoded);
  }

  // left: what tells the control of the operations that are left of this batch.
  template <typename Left>
  std::vector<ScoringResult::Scores> run(Control& control, const Left& left) {
    left(operations());
    auto nodes = score(pass_.run(control), control);
    if (request_.decode) decode(diverged(nodes), control, left);
    std::vector<ScoringResult::Scores> plans;
    for (size_t plan = 0; plan < plans_->table.plans().size(); ++plan) {
      plans.push_back(nodes[static_cast<size_t>(plans_->tree.node_of(plan))]);
    }
    return plans;
  }

 private:
  const BypassPlan& plan_of(int64_t node) const { return plans_->table.plans()[plans_->tree.plan_of(node)]; }

  std::vector<ScoringResult::Scores> score(std::vector<at::Tensor> streams, Control& control) const {
    const auto places = at::tensor(targets_.places, at::kLong).to(model_.device());
    std::vector<at::Tensor> read;
    std::vector<int64_t> targets;
    for (auto& stream : streams) {
      read.push_back(stream.flatten(0, 1).index_select(0, places));
      stream.reset();
      targets.insert(targets.end(), targets_.tokens.begin(), targets_.tokens.end());
    }
    const auto scores = score_tokens(model_, at::cat(read), targets, request_.scheme, control);
    if (const auto position = scores.not_finite()) refuse(*position, control);
    std::vector<ScoringResult::Scores> nodes(read.size());
    const auto count = static_cast<std::ptrdiff_t>(targets_.tokens.size());
    for (size_t node = 0; node < nodes.size(); ++node) {
      const auto part = [begin = static_cast<std::ptrdiff_t>(node) * count, count](const auto& values) {
        return std::decay_t<decltype(values)>(values.begin() + begin, values.begin() + begin + count);
      };
      nodes[node].log_likelihood = part(scores.log_likelihood);
      nodes[node].entropy = part(scores.entropy);
      nodes[node].scheme_log_likelihood = part(scores.scheme_log_likelihood);
      nodes[node].margin = part(scores.margin);
      nodes[node].predicted = part(scores.predicted);
    }
    return nodes;
  }

  // position: among the scored tokens of all nodes, of one whose logits are not finite.
  [[noreturn]] void refuse(size_t position, Control& control) const {
    const auto node = static_cast<int64_t>(position / targets_.tokens.size());
    const auto place = static_cast<int64_t>(position % targets_.tokens.size());
    const auto after = std::upper_bound(targets_.offsets.begin(), targets_.offsets.end(), place);
    const auto sequence = static_cast<size_t>(after - targets_.offsets.begin() - 1);
    throw_not_finite(model_, request_.scorable.sequences[sequence], plan_of(node), "scoring", control);
  }

  // What is decoded begins as what was predicted; these rows go on from their first mismatch. Each row is of
  // one sequence here.
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
        // A mismatch at the last token leaves nothing to decode.
        if (position + 1 < end) {
          decoded.push_back({static_cast<int64_t>(node), static_cast<int64_t>(row), position, end, first,
                             tokens, &sequence});
        }
      }
    }
    // Plans of one row next to each other: they read the same prompt.
    std::sort(decoded.begin(), decoded.end(), [](const Decoded& left, const Decoded& right) {
      return left.row != right.row ? left.row < right.row : left.node < right.node;
    });
    return decoded;
  }

  template <typename Left>
  void decode(std::vector<Decoded> going, Control& control, const Left& left) {
    double operations = 0;
    int64_t most = 0;
    for (const auto& one : going) {
      const int64_t tokens = one.end - 1 - one.position;
      operations += static_cast<double>(tokens) * Decoder::operations(model_, one.end);
      most = std::max(most, tokens);
    }
    left(operations);
    Decoder decoder(model_);
    decoder.reserve(std::ssize(going), most);
    std::vector<int64_t> ids;
    for (const auto& one : going) {
      ids.push_back(
          decoder.add({plans_, cache_, one.row, one.node, one.position, one.end - 1 - one.position, true}));
    }
    while (!going.empty()) {
      std::vector<int64_t> tokens;
      for (const auto& one : going) tokens.push_back(one.tokens[one.position - one.first]);
      const auto best = best_tokens(model_, decoder.step(ids, tokens, control), control);
      if (best.not_finite) refuse(going[*best.not_finite], control);
      size_t kept = 0;
      for (size_t place = 0; place < going.size(); ++place) {
        auto& one = going[place];
        ++one.position;
        one.tokens[one.position - one.first] = best.tokens[place];
        if (one.position + 1 >= one.end) {
          decoder.remove(ids[place]);
          continue;
        }
        going[kept] = one;
        ids[kept++] = ids[place];
      }
      going.resize(kept);
      ids.resize(kept);
    }
  }

  [[noreturn]] void refuse(const Decoded& one, Control& control) const {
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
      std::max<int64_t>(1, Memory(request).rows(model, PlanTree(PlanTable(*request.plans)), request.memory));
  // Equal parts, so that none is left over that is too small for the machine.
  const int64_t parts = (wanted + fitting - 1) / fitting;
  return (wanted + parts - 1) / parts;
}

ScoringResult score(const Model& model, const ScoringRequest& request, Control& control) {
  const c10::InferenceMode inference;
  const Memory memory(request);
  const auto& plans = *request.plans;
  const auto group = [&plans](size_t begin, size_t count) {
    const auto first = plans.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::vector<BypassPlan>(
        first, first + static_cast<std::ptrdiff_t>(std::min(count, plans.size() - begin)));
  };
  const int64_t wanted = std::ssize(request.scorable.groups);
  size_t together = plans.size();
  while (together > 1 &&
         memory.rows(model, PlanTree(PlanTable(group(0, together))), request.memory) < wanted) {
    together = (together + 1) / 2;
  }
  TORCH_INTERNAL_ASSERT(
      !request.decode || request.scorable.groups.size() == request.scorable.sequences.size(),
      "sequences that are decoded do not share rows");
  const Targets targets(request.scorable);
  const PassRows rows(targets.rows, targets.columns, model.device());
  std::vector<std::unique_ptr<PlanBatch>> batches;
  double later = 0;
  for (size_t begin = 0; begin < plans.size(); begin += together) {
    batches.push_back(std::make_unique<PlanBatch>(model, request, targets, rows, group(begin, together)));
    later += batches.back()->operations();
  }
  ScoringResult result;
  for (auto& batch : batches) {
    later -= batch->operations();
    auto scores = batch->run(control, [&](double now) { control.expect(now + later); });
    std::move(scores.begin(), scores.end(), std::back_inserter(result.plans));
    batch.reset();
  }
  result.operations = control.done();
  return result;
}

}  // namespace attention_bypass
