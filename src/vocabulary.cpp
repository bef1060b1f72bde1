#include "vocabulary.h"

#include <algorithm>

namespace attention_bypass {

namespace {

constexpr int64_t chunk_bytes = 32 << 20;

template <typename Value>
void append(std::vector<Value>& values, const at::Tensor& tensor) {
  const auto data = tensor.to(at::kCPU).contiguous();
  const auto* begin = data.data_ptr<Value>();
  values.insert(values.end(), begin, begin + data.numel());
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

}  // namespace

TokenScores score_tokens(const Model& model, const at::Tensor& hidden, const at::Tensor& targets,
                         const TokenScoresRequest& request, Control& control) {
  const c10::InferenceMode inference;
  TokenScores scores;
  const int64_t row_bytes = model.config().vocabulary_size * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / row_bytes);
  for (int64_t begin = 0; begin < hidden.size(0); begin += chunk) {
    control.check();
    const int64_t count = std::min(chunk, hidden.size(0) - begin);
    const auto logits = model.unembed(hidden.narrow(0, begin, count));
    const auto target = targets.narrow(0, begin, count).unsqueeze(1);
    append(scores.predicted, logits.argmax(1));
    if (request.scheme) {
      append(scores.scheme_log_likelihood,
             scheme_log_likelihood(logits, logits.gather(1, target).squeeze(1), *request.scheme));
    }
    const auto log_probabilities = logits.log_softmax(1);
    append(scores.log_likelihood, log_probabilities.gather(1, target).squeeze(1));
    if (request.entropy) {
      append(scores.entropy, log_probabilities.exp().mul_(log_probabilities).sum(1).neg_());
    }
    control.advance(static_cast<double>(count) * model.head_cost());
  }
  return scores;
}

}  // namespace attention_bypass
