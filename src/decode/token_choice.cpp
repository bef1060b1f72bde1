#include "decode/token_choice.h"

#include <algorithm>
#include <cmath>

#include "base/device.h"
#include "base/finite.h"
#include "base/transfer.h"

namespace attention_bypass {

namespace {

int64_t most_of(const std::vector<Chooser>& choosers) {
  int64_t most = 0;
  for (const auto& chooser : choosers) most = std::max(most, chooser.top);
  return most;
}

// Returns the `count` most probable tokens of each row and their log-probabilities, (2, rows, count),
// float64, which holds every token and every float32 exactly.
at::Tensor most_probable(const at::Tensor& logits, int64_t count) {
  const auto [values, tokens] = logits.topk(count, 1);
  return at::stack({tokens.to(at::kDouble), (values - logits.logsumexp(1, true)).to(at::kDouble)});
}

// Returns the first `count` tokens of a row of most_probable on the CPU.
std::vector<RankedToken> ranked(const at::Tensor& ranks, int64_t row, int64_t count) {
  std::vector<RankedToken> top;
  const auto tokens = ranks.accessor<double, 3>();
  for (int64_t rank = 0; rank < count; ++rank) {
    top.push_back({static_cast<int64_t>(tokens[0][row][rank]), static_cast<float>(tokens[1][row][rank])});
  }
  return top;
}

void rank_on_host(const at::Tensor& logits, const std::vector<Chooser>& choosers,
                  std::vector<TokenChoice>& choices) {
  std::vector<int64_t> rows;
  for (size_t row = 0; row < choosers.size(); ++row) {
    if (choosers[row].top > 0) rows.push_back(static_cast<int64_t>(row));
  }
  if (rows.empty()) return;
  const auto ranks =
      most_probable(logits.index_select(0, at::tensor(rows, at::kLong)), most_of(choosers)).contiguous();
  for (size_t place = 0; place < rows.size(); ++place) {
    const auto row = static_cast<size_t>(rows[place]);
    choices[row].top = ranked(ranks, static_cast<int64_t>(place), choosers[row].top);
  }
}

std::vector<TokenChoice> choose_on_host(const at::Tensor& logits, const std::vector<Chooser>& choosers) {
  std::vector<TokenChoice> choices(choosers.size());
  const auto row_logits = [&](size_t row) { return logits[static_cast<int64_t>(row)]; };
  const bool finite = all_finite(logits);
  for (size_t row = 0; row < choosers.size(); ++row)
    choices[row].finite = finite || all_finite(row_logits(row));
  const auto greedy = logits.argmax(1);
  std::vector<int64_t> tokens;
  for (size_t row = 0; row < choosers.size(); ++row) {
    const auto& [sampling, random, top] = choosers[row];
    auto& token = choices[row].token;
    token = greedy.const_data_ptr<int64_t>()[row];
    if (!sampling->greedy() && choices[row].finite) {
      token = sample_token(row_logits(row).const_data_ptr<float>(), logits.size(1), *sampling, *random);
    }
    tokens.push_back(token);
  }
  const auto picked = at::tensor(tokens, at::kLong).unsqueeze(1);
  const auto likelihoods = (logits.gather(1, picked).squeeze(1) - logits.logsumexp(1)).contiguous();
  for (size_t row = 0; row < choosers.size(); ++row) {
    choices[row].log_probability = likelihoods.const_data_ptr<float>()[row];
  }
  rank_on_host(logits, choosers, choices);
  return choices;
}

}  // namespace

void TokenChoices::choose(const at::Tensor& logits, const std::vector<Chooser>& choosers) {
  if (operators_only(logits.device())) {
    choose_on_device(logits, choosers);
  } else {
    on_host_ = choose_on_host(logits, choosers);
  }
}

void TokenChoices::choose_on_device(const at::Tensor& logits, const std::vector<Chooser>& choosers) {
  const auto rows = std::ssize(choosers);
  constexpr int64_t row_bytes = sizeof(int64_t) + 2 * sizeof(float);
  if (!result_.defined() || result_.numel() != rows * row_bytes) {
    result_ = at::empty({rows * row_bytes}, logits.options().dtype(at::kByte));
    const auto part = [&](int64_t begin, int64_t element, at::ScalarType type) {
      return result_.narrow(0, begin, rows * element).view(type);
    };
    tokens_ = part(0, 8, at::kLong);
    likelihoods_ = part(8 * rows, 4, at::kFloat);
    least_ = part(12 * rows, 4, at::kFloat);
  }
  const auto draws = [](const Chooser& chooser) { return !chooser.sampling->greedy(); };
  if (std::any_of(choosers.begin(), choosers.end(), draws)) {
    std::vector<Sampling> samplings;
    std::vector<double> shares;
    for (const auto& chooser : choosers) {
      samplings.push_back(*chooser.sampling);
      shares.push_back(draws(chooser) ? uniform(*chooser.random) : 0);
    }
    tokens_.copy_(sample_tokens(logits, samplings, shares));
  } else {
    at::argmax_out(tokens_, logits, 1);
  }
  // NaN or an infinite logit makes the log-probability NaN or the least logit infinite.
  auto column = likelihoods_.unsqueeze(1);
  at::gather_out(column, logits.log_softmax(1), 1, tokens_.unsqueeze(1));
  at::amin_out(least_, logits, 1);
  copy_.emplace(result_);
  rank_on_device(logits, choosers);
}

void TokenChoices::rank_on_device(const at::Tensor& logits, const std::vector<Chooser>& choosers) {
  tops_.clear();
  for (const auto& chooser : choosers) tops_.push_back(chooser.top);
  if (const auto most = most_of(choosers); most > 0) ranks_.emplace(most_probable(logits, most));
}

std::vector<TokenChoice> TokenChoices::wait() {
  if (!copy_) return std::move(on_host_);
  const auto rows = tokens_.size(0);
  const auto* bytes = copy_->wait().const_data_ptr<uint8_t>();
  const auto* token = reinterpret_cast<const int64_t*>(bytes);            // NOLINT(*-reinterpret-cast)
  const auto* number = reinterpret_cast<const float*>(bytes + 8 * rows);  // NOLINT(*-reinterpret-cast)
  std::vector<TokenChoice> choices;
  for (int64_t row = 0; row < rows; ++row) {
    const bool finite = std::isfinite(number[row]) && std::isfinite(number[rows + row]);
    auto& choice = choices.emplace_back(TokenChoice{token[row], number[row], finite, {}});
    if (ranks_) choice.top = ranked(ranks_->wait(), row, tops_[static_cast<size_t>(row)]);
  }
  copy_.reset();
  ranks_.reset();
  return choices;
}

at::Tensor sample_tokens(const at::Tensor& logits, const std::vector<Sampling>& samplings,
                         const std::vector<double>& shares) {
  const int64_t count = logits.size(1);
  std::vector<double> numbers;
  const auto add = [&](const auto& value) {
    for (size_t row = 0; row < samplings.size(); ++row) numbers.push_back(value(row));
  };
  add([&](size_t row) { return samplings[row].greedy() ? 1 : samplings[row].temperature; });
  add([&](size_t row) {
    const auto& [temperature, top_k, top_p] = samplings[row];
    if (samplings[row].greedy()) return 1.0;
    return static_cast<double>(top_k == 0 ? count : std::min(top_k, count));
  });
  add([&](size_t row) { return samplings[row].top_p; });
  add([&](size_t row) { return shares[row]; });
  const auto parameters = to_device(at::tensor(numbers, at::kDouble).view({4, -1, 1}), logits.device());
  // Stable: of equal logits, the lowest id is first. Sums in float64, since there may be many small terms.
  const auto [sorted, order] = at::sort(logits, /*stable=*/true, 1, /*descending=*/true);
  const auto falls = (sorted - sorted.narrow(1, 0, 1)).to(at::kDouble) / parameters.select(0, 0);
  const auto ranks = at::arange(count, parameters.options());
  auto weights = falls.exp_().masked_fill_(ranks >= parameters.select(0, 1), 0);
  auto cumulative = weights.cumsum(1);
  // The fewest tokens that reach top p: those before which the sum is less.
  const auto before = cumulative - weights;
  const auto wanted = parameters.select(0, 2) * cumulative.narrow(1, count - 1, 1);
  weights.masked_fill_((before >= wanted).logical_and_(ranks > 0), 0);
  cumulative = at::zeros_like(weights).scatter_(1, order, weights).cumsum_(1);
  const auto total = cumulative.narrow(1, count - 1, 1);
  // Less than the total, which rounding may reach.
  const auto drawn = at::minimum(parameters.select(0, 3) * total, total * (1 - 1e-15));
  return (cumulative <= drawn).sum(1);
}

}  // namespace attention_bypass
