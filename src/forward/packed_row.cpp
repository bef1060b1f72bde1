#include "forward/packed_row.h"

#include <algorithm>
#include <numeric>

namespace attention_bypass {

PackedRow::PackedRow(const TokenRow& sequence)
    : tokens(sequence),
      positions(sequence.size()),
      branches(sequence.size(), 0),
      shared(static_cast<int64_t>(sequence.size())) {
  std::iota(positions.begin(), positions.end(), 0);
  begins = {shared};
}

PackedRow::PackedRow(const std::vector<TokenRow>& sequences, const std::vector<int64_t>& first)
    : PackedRow(TokenRow(sequences.front().begin(), sequences.front().end() - 1)) {
  if (sequences.size() == 1) return;
  // The shared prefix ends before the first scored token.
  shared = *std::min_element(first.begin(), first.end());
  for (const auto& sequence : sequences) {
    const auto end = tokens.begin() + std::min<std::ptrdiff_t>(shared, std::ssize(tokens));
    shared = std::mismatch(tokens.begin(), end, sequence.begin(), sequence.end() - 1).first - tokens.begin();
  }
  const auto keep = static_cast<size_t>(shared);
  tokens.resize(keep);
  positions.resize(keep);
  branches.resize(keep);
  begins.clear();
  for (size_t index = 0; index < sequences.size(); ++index) {
    begins.push_back(static_cast<int64_t>(tokens.size()));
    const auto& sequence = sequences[index];
    for (size_t position = keep; position + 1 < sequence.size(); ++position) {
      tokens.push_back(sequence[position]);
      positions.push_back(static_cast<int64_t>(position));
      branches.push_back(static_cast<int64_t>(index) + 1);
    }
  }
}

int64_t PackedRow::column(size_t sequence, int64_t position) const {
  return position < shared ? position : begins[sequence] + position - shared;
}

}  // namespace attention_bypass
