#include "decode/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace attention_bypass {

namespace {

constexpr size_t first_candidates = 64;

// Sorts the candidates with the greatest logits first, and equal logits by id. Removes the others once
// enough(number of sorted candidates) is true.
template <typename Enough>
void sort_until(std::vector<int64_t>& candidates, const float* logits, const Enough& enough) {
  const auto more_probable = [logits](int64_t left, int64_t right) {
    return logits[left] != logits[right] ? logits[left] > logits[right] : left < right;
  };
  // A few tokens usually have most of the probability, so the whole vocabulary is rarely sorted.
  size_t sorted = 0;
  for (size_t wanted = first_candidates;; wanted *= 4) {
    const size_t end = std::min(wanted, candidates.size());
    const auto from = candidates.begin() + static_cast<std::ptrdiff_t>(sorted);
    const auto until = candidates.begin() + static_cast<std::ptrdiff_t>(end);
    std::nth_element(from, until, candidates.end(), more_probable);
    std::sort(from, until, more_probable);
    sorted = end;
    if (sorted == candidates.size() || enough(sorted)) break;
  }
  candidates.resize(sorted);
}

}  // namespace

double uniform(std::mt19937_64& random) {
  // 53 random bits: the distributions of standard libraries differ between implementations.
  return static_cast<double>(random() >> 11) * 0x1.0p-53;
}

int64_t sample_token(const float* logits, int64_t count, const Sampling& sampling, std::mt19937_64& random) {
  std::vector<int64_t> candidates(static_cast<size_t>(count));
  std::iota(candidates.begin(), candidates.end(), 0);
  const double highest = *std::max_element(logits, logits + count);
  const auto weight = [&](int64_t token) {
    return std::exp((logits[token] - highest) / sampling.temperature);
  };
  const bool limited = sampling.top_k > 0 && sampling.top_k < count;
  if (limited) {
    const auto kept = static_cast<size_t>(sampling.top_k);
    sort_until(candidates, logits, [kept](size_t sorted) { return sorted >= kept; });
    candidates.resize(kept);
  }
  double total = 0;
  for (const auto token : candidates) total += weight(token);
  std::vector<double> cumulative;
  double sum = 0;
  const auto extend = [&](size_t until) {
    while (cumulative.size() < until && (cumulative.empty() || cumulative.back() < sampling.top_p * total)) {
      sum += weight(candidates[cumulative.size()]);
      cumulative.push_back(sum);
    }
    return cumulative.size() < until || sum >= sampling.top_p * total;
  };
  if (sampling.top_p < 1) {
    if (!limited) sort_until(candidates, logits, extend);
    extend(candidates.size());
  } else {
    for (const auto token : candidates) cumulative.push_back(sum += weight(token));
  }
  const double share = uniform(random);
  const auto drawn = std::upper_bound(cumulative.begin(), cumulative.end(), share * cumulative.back());
  const auto index = std::min<std::ptrdiff_t>(drawn - cumulative.begin(),
                                              static_cast<std::ptrdiff_t>(cumulative.size()) - 1);
  return candidates[static_cast<size_t>(index)];
}

}  // namespace attention_bypass
