#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace attention_bypass {

int64_t sample_token(const float* logits, int64_t count, const Sampling& sampling, std::mt19937_64& random) {
  std::vector<int64_t> candidates(static_cast<size_t>(count));
  std::iota(candidates.begin(), candidates.end(), 0);
  const auto more_probable = [logits](int64_t left, int64_t right) {
    return logits[left] != logits[right] ? logits[left] > logits[right] : left < right;
  };
  const bool limited = sampling.top_k > 0 && sampling.top_k < count;
  const auto kept = candidates.begin() + (limited ? sampling.top_k : count);
  if (limited || sampling.top_p < 1)
    std::partial_sort(candidates.begin(), kept, candidates.end(), more_probable);
  candidates.erase(kept, candidates.end());

  const double highest = *std::max_element(logits, logits + count);
  std::vector<double> cumulative;
  double total = 0;
  for (const auto token : candidates) {
    total += std::exp((logits[token] - highest) / sampling.temperature);
    cumulative.push_back(total);
  }
  if (sampling.top_p < 1) {
    const auto last = std::lower_bound(cumulative.begin(), cumulative.end(), sampling.top_p * total);
    if (last != cumulative.end()) cumulative.erase(last + 1, cumulative.end());
  }
  // The standard library's distributions differ between implementations; 53 bits as a share of 1 do not.
  const double share = static_cast<double>(random() >> 11) * 0x1.0p-53;
  const auto drawn = std::upper_bound(cumulative.begin(), cumulative.end(), share * cumulative.back());
  const auto index = std::min<std::ptrdiff_t>(drawn - cumulative.begin(),
                                              static_cast<std::ptrdiff_t>(cumulative.size()) - 1);
  return candidates[static_cast<size_t>(index)];
}

}  // namespace attention_bypass
