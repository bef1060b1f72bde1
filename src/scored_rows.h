#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "token_batch.h"

namespace attention_bypass {

// Rows whose tokens from one on are scored, each by what the model makes of the token before it.
struct ScoredRows {
  // first: in each row, the first token that is scored; at least 1.
  ScoredRows(const std::vector<TokenRow>& rows, const std::vector<int64_t>& first, at::Device device);

  int64_t count() const { return inputs.ids.size(0); }
  int64_t length() const { return inputs.ids.size(1); }
  int64_t reads() const { return read_columns.size(1); }

  // What is read of streams (rows, ..., length, size): (rows, ..., reads, size). From the row `begin` on.
  at::Tensor read(const at::Tensor& stream, int64_t begin) const;

  TokenBatch inputs;            // all tokens of each row but its last, which predicts nothing
  at::Tensor read_columns;      // (rows, reads) of the inputs; a row with fewer repeats its last
  at::Tensor read_positions;    // (rows, reads)
  std::vector<int64_t> places;  // of each scored token, row after row: its place in (rows, reads), flattened
  std::vector<int64_t> targets;
  std::vector<int64_t> offsets;  // of each row in places and targets
  bool uniform;                  // rows agree in their length and first scored token
};

}  // namespace attention_bypass
