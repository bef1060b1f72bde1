#pragma once

#include <vector>

#include "forward/pass_rows.h"

namespace attention_bypass {

// Sequences whose tokens from one on are scored, each from the model's prediction at the token before it.
struct Scorable {
  std::vector<TokenRow> sequences;
  std::vector<int64_t> first;   // in each sequence, the first token that is scored; at least 1
  std::vector<int64_t> groups;  // how many sequences after each other share a row

  std::vector<PackedRow> packed() const;
  // Removes all groups after the first `count`.
  void keep_groups(int64_t count);
};

// The scored tokens of sequences, one sequence after the other.
struct Targets {
  explicit Targets(const Scorable& of);

  std::vector<PackedRow> rows;
  std::vector<std::vector<int64_t>> columns;  // of each row, the places that predict a scored token
  std::vector<int64_t> tokens;
  std::vector<int64_t> places;   // of each token: where it is predicted in (rows, reads), flattened
  std::vector<int64_t> offsets;  // of each sequence in tokens and places
};

}  // namespace attention_bypass
