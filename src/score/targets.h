#pragma once

#include <vector>

#include "forward/pass_rows.h"

namespace attention_bypass {

// Sequences with the tokens to score. Each token is scored from the model's prediction at the token before
// it.
struct Scorable {
  std::vector<TokenRow> sequences;
  std::vector<int64_t> first;   // for each sequence, the index of its first scored token; at least 1
  std::vector<int64_t> groups;  // sizes of the groups of consecutive sequences that share a row

  std::vector<PackedRow> packed() const;
  // Removes all groups except the first `count`.
  void keep_groups(int64_t count);
};

// The scored tokens of all sequences, sequence by sequence.
struct Targets {
  explicit Targets(const Scorable& of);

  // Returns the index of the sequence of each token.
  std::vector<int64_t> sequence_of_token() const;

  std::vector<PackedRow> rows;
  std::vector<std::vector<int64_t>>
      columns;  // for each row, the indices of tokens that predict a scored token
  std::vector<int64_t> tokens;
  std::vector<int64_t> places;   // for each token, the index of its prediction in (rows, reads), flattened
  std::vector<int64_t> offsets;  // for each sequence, the index of its first token in tokens and places
};

}  // namespace attention_bypass
