#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "token_batch.h"

namespace attention_bypass {

// Sequences whose tokens from one on are scored, each by what the model makes of the token before it.
struct Scorable {
  std::vector<TokenRow> sequences;
  std::vector<int64_t> first;   // in each sequence, the first token that is scored; at least 1
  std::vector<int64_t> groups;  // how many sequences after each other share a row

  std::vector<PackedRow> packed() const;
};

// The same as rows that go through the model together.
struct ScoredRows {
  ScoredRows(const Scorable& of, at::Device device);

  int64_t count() const { return inputs.ids.size(0); }
  int64_t length() const { return inputs.ids.size(1); }
  int64_t reads() const { return read_columns.size(1); }

  // What is read of streams (rows, ..., length, size): (rows, ..., reads, size). From the row `begin` on.
  at::Tensor read(const at::Tensor& stream, int64_t begin) const;

  TokenBatch inputs;
  at::Tensor read_columns;      // (rows, reads) of the inputs; a row with fewer repeats its last
  at::Tensor read_positions;    // (rows, reads)
  at::Tensor read_branches;     // (rows, reads), or undefined where each row is of one sequence
  std::vector<int64_t> places;  // of each scored token, one sequence after the other: its place in (rows,
                                // reads), flattened
  std::vector<int64_t> targets;
  std::vector<int64_t> offsets;  // of each sequence in places and targets
  bool uniform;                  // rows are of one sequence, and agree in length and first scored token
};

}  // namespace attention_bypass
