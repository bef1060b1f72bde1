#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attention_bypass {

using TokenRow = std::vector<int64_t>;

// Sequences that begin alike as one row of tokens, so that what they share is computed once: first what all
// begin with, then what each goes on with. A branch sees what is shared and itself.
struct PackedRow {
  // A sequence alone.
  explicit PackedRow(const TokenRow& sequence);
  // Of each sequence all tokens but the last, which predicts nothing. first: in each, the first token that is
  // scored, before which every sequence has at least one.
  PackedRow(const std::vector<TokenRow>& sequences, const std::vector<int64_t>& first);

  // Where a sequence's token of this position is.
  int64_t column(size_t sequence, int64_t position) const;

  TokenRow tokens;
  std::vector<int64_t> positions;  // of each token in its sequence
  std::vector<int64_t> branches;   // of each token: 0 where it is shared, else its sequence's number from 1
  int64_t shared;                  // tokens that are
  std::vector<int64_t> begins;     // of each sequence, where its own tokens begin
};

}  // namespace attention_bypass
