#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attention_bypass {

using TokenRow = std::vector<int64_t>;

// Sequences with a common prefix as one row of tokens: the prefix, then the rest of each sequence (a branch).
// The prefix is computed once. A token attends to the prefix and to its own branch.
struct PackedRow {
  // A row with one sequence.
  explicit PackedRow(const TokenRow& sequence);
  // The row holds all tokens of each sequence except the last, which predicts nothing. first: for each
  // sequence, the index of its first scored token; at least 1.
  PackedRow(const std::vector<TokenRow>& sequences, const std::vector<int64_t>& first);

  // Returns the index in `tokens` of a sequence's token at this position.
  int64_t column(size_t sequence, int64_t position) const;

  TokenRow tokens;
  std::vector<int64_t> positions;  // for each token, its position in its sequence
  std::vector<int64_t>
      branches;                 // for each token, 0 if it is shared, otherwise 1 + the index of its sequence
  int64_t shared;               // the number of shared tokens
  std::vector<int64_t> begins;  // for each sequence, the index of the first token of its branch
};

}  // namespace attention_bypass
