#include "head/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/operations.h"
#include "base/transfer.h"
#include "head/logit_summary.h"

namespace attention_bypass {

namespace {

// The size of the logits that are computed at once: few enough for the cache of a processor, and enough to
// use all of a GPU, of which they take a small part of the memory limit.
int64_t chunk_bytes(const Model& model, int64_t memory) {
  constexpr int64_t least = int64_t{32} << 20;
  constexpr int64_t most = int64_t{512} << 20;
  return model.device().is_cpu() ? least : std::clamp(memory / 16, least, most);
}
// The number of tensors of that size that exist at the same time.
constexpr int64_t chunks_at_once = 3;
// The number of positions for which the output embedding is read once.
constexpr int64_t positions_at_once = 4096;

template <typename Value>
void append(std::vector<Value>& values, const std::vector<Value>& more) {
  values.insert(values.end(), more.begin(), more.end());
}

// Values of chunks of positions, which stay on the device until all are computed.
class Column {
 public:
  void add(const at::Tensor& values) { chunks_.push_back(values.to(at::kDouble)); }
  const std::vector<at::Tensor>& chunks() const { return chunks_; }

 private:
  std::vector<at::Tensor> chunks_;
};

// Copies columns of the same length to the host at once: (columns, positions). float64 holds every token and
// every float32 exactly.
at::Tensor on_host(const std::vector<Column>& columns) {
  std::vector<at::Tensor> rows;
  for (const auto& column : columns) rows.push_back(at::cat(column.chunks()));
  return to_host(at::stack(rows));
}

template <typename Value>
std::vector<Value> row(const at::Tensor& rows, int64_t index) {
  const auto values = rows.select(0, index);
  const auto* begin = values.const_data_ptr<double>();
  std::vector<Value> result;
  std::transform(begin, begin + values.numel(), std::back_inserter(result),
                 [](double value) { return static_cast<Value>(value); });
  return result;
}

// The most probable tokens of chunks of positions, which stay on the device until all are computed.
class TopTokens {
 public:
  explicit TopTokens(int64_t count) : count_(count) {}

  void add(const at::Tensor& log_probabilities) {
    if (count_ == 0) return;
    const auto [values, tokens] = log_probabilities.topk(count_, 1);
    tokens_.add(tokens.flatten());
    values_.add(values.flatten());
  }
  void copy_to(TokenScores& scores) const {
    if (count_ == 0) return;
    const auto rows = on_host({tokens_, values_});
    scores.top_tokens = row<int64_t>(rows, 0);
    scores.top_log_probabilities = row<float>(rows, 1);
  }

 private:
  int64_t count_;
  Column tokens_, values_;
};

// Sets the most probable token of each position from the other scores.
void set_most_probable(TokenScores& scores, const std::vector<int64_t>& targets) {
  scores.top_tokens = scores.predicted;
  scores.top_log_probabilities = scores.log_likelihood;
  for (size_t position = 0; position < targets.size(); ++position) {
    if (scores.predicted[position] != targets[position]) {
      scores.top_log_probabilities[position] -= scores.margin[position];
    }
  }
}

// Whether scores are computed by summarize_logits, which gives only the most probable token.
bool summarizes(const Model& model, const SamplingScheme& scheme, int64_t top) {
  return scheme.plain() && top <= 1 && can_summarize_logits(model);
}

at::Tensor scheme_log_likelihood(const at::Tensor& logits, const at::Tensor& target_logits,
                                 const SamplingScheme& scheme) {
  const auto scaled_target = target_logits / scheme.temperature;
  if (scheme.top_k == 0 || scheme.top_k >= logits.size(1)) {
    return scaled_target - (logits / scheme.temperature).logsumexp(1);
  }
  const auto candidates = std::get<0>(logits.topk(scheme.top_k, 1));
  const auto drawn = target_logits >= candidates.select(1, scheme.top_k - 1);
  const auto likelihood = scaled_target - (candidates / scheme.temperature).logsumexp(1);
  return likelihood.masked_fill(drawn.logical_not(), -INFINITY);
}

// Calls work(logits, begin, count) for consecutive chunks of positions.
template <typename Work>
void for_logits(const Model& model, const at::Tensor& hidden, bool normed, int64_t memory, Control& control,
                const Work& work) {
  const Operations operations(model.config());
  const int64_t row_bytes = model.config().vocabulary_size * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes(model, memory) / row_bytes);
  const auto output_embedding = model.output_embedding(0, model.config().vocabulary_size);
  for (int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
    control.check();
    const int64_t count = std::min(chunk, hidden.size(0) - begin);
    const auto part = hidden.narrow(0, begin, count);
    work(model.project(normed ? part : model.final_norm(part), output_embedding), begin, count);
    control.advance(static_cast<double>(count) * operations.head());
  }
}

}  // namespace

int64_t scoring_bytes(const Model& model, const SamplingScheme& scheme, int64_t top, int64_t memory) {
  const int64_t hidden = model.config().hidden_size;
  // The positions, and the part of the output embedding that logits are computed from.
  const int64_t summarized = int64_t{3} * positions_at_once * hidden * static_cast<int64_t>(sizeof(float));
  if (summarizes(model, scheme, top)) return summarized;
  const auto element = static_cast<int64_t>(c10::elementSize(model.dtype()));
  const int64_t embedding = model.offloaded() ? model.config().vocabulary_size * hidden * element : 0;
  return std::max(summarized, embedding + chunks_at_once * chunk_bytes(model, memory));
}

TokenScores score_tokens(const Model& model, const at::Tensor& hidden, const std::vector<int64_t>& targets,
                         const SamplingScheme& scheme, int64_t top, int64_t memory, Control& control,
                         bool normed) {
  const c10::InferenceMode inference;
  TokenScores scores;
  if (summarizes(model, scheme, top)) {
    for (int64_t begin = 0; begin < hidden.size(0); begin += positions_at_once) {
      const int64_t count = std::min(positions_at_once, hidden.size(0) - begin);
      const auto first = targets.begin() + begin;
      const auto summary =
          summarize_logits(model, hidden.narrow(0, begin, count), {first, first + count}, control, normed);
      append(scores.predicted, summary.best);
      append(scores.log_likelihood, summary.log_likelihood);
      append(scores.entropy, summary.entropy);
      append(scores.margin, summary.margin);
    }
    scores.scheme_log_likelihood = scores.log_likelihood;
    if (top == 1) set_most_probable(scores, targets);
    return scores;
  }
  if (targets.empty()) return scores;
  const auto all = to_device(targets, model.device());
  std::vector<Column> columns(5);
  TopTokens most_probable(top);
  const auto reduce = [&](const at::Tensor& logits, int64_t begin, int64_t count) {
    const auto target = all.narrow(0, begin, count).unsqueeze(1);
    const auto target_logits = logits.gather(1, target).squeeze(1);
    columns[0].add(logits.argmax(1));
    columns[1].add(target_logits - logits.scatter(1, target, -INFINITY).amax(1));
    columns[2].add(scheme_log_likelihood(logits, target_logits, scheme));
    const auto log_probabilities = logits.log_softmax(1);
    columns[3].add(log_probabilities.gather(1, target).squeeze(1));
    columns[4].add(log_probabilities.exp().mul_(log_probabilities).sum(1).neg_());
    most_probable.add(log_probabilities);
  };
  for_logits(model, hidden, normed, memory, control, reduce);
  const auto rows = on_host(columns);
  scores.predicted = row<int64_t>(rows, 0);
  scores.margin = row<float>(rows, 1);
  scores.scheme_log_likelihood = row<float>(rows, 2);
  scores.log_likelihood = row<float>(rows, 3);
  scores.entropy = row<float>(rows, 4);
  most_probable.copy_to(scores);
  return scores;
}

std::optional<size_t> TokenScores::not_finite() const {
  // Both are sums over all logits, so a logit that is not finite makes one of them not finite. The likelihood
  // under the scheme is not checked: it is -infinity for tokens outside the top k.
  for (size_t position = 0; position < entropy.size(); ++position) {
    if (!std::isfinite(log_likelihood[position]) || !std::isfinite(entropy[position])) return position;
  }
  return std::nullopt;
}

BestTokens best_tokens(const Model& model, const at::Tensor& hidden, int64_t memory, Control& control) {
  const c10::InferenceMode inference;
  BestTokens best;
  std::vector<float> doubts;
  if (can_summarize_logits(model)) {
    auto summary = summarize_logits(model, hidden, {}, control);
    best.tokens = std::move(summary.best);
    doubts = std::move(summary.doubt);
  } else {
    std::vector<Column> columns(2);
    for_logits(model, hidden, false, memory, control, [&](const at::Tensor& logits, int64_t, int64_t) {
      columns[0].add(logits.argmax(1));
      // If some logit is NaN or infinite, so is the minimum or the maximum.
      const auto [least, greatest] = logits.aminmax(1);
      columns[1].add((greatest - least) * 0);
    });
    const auto rows = on_host(columns);
    best.tokens = row<int64_t>(rows, 0);
    doubts = row<float>(rows, 1);
  }
  const auto found =
      std::find_if_not(doubts.begin(), doubts.end(), [](float value) { return std::isfinite(value); });
  if (found != doubts.end()) best.not_finite = static_cast<size_t>(found - doubts.begin());
  return best;
}

}  // namespace attention_bypass
