#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "forward/token_batch.h"

namespace attention_bypass {

// Rows that go through the model together, and the positions of each whose final residual stream is read.
struct PassRows {
  // Reads every position, including those behind the end of shorter rows.
  PassRows(const std::vector<TokenRow>& rows, at::Device device);
  // columns: of each row, the places of the tokens that are read; at least one.
  PassRows(const std::vector<PackedRow>& rows, const std::vector<std::vector<int64_t>>& columns,
           at::Device device);

  int64_t count() const { return inputs.ids.size(0); }
  int64_t length() const { return inputs.ids.size(1); }
  int64_t reads() const { return read_positions.size(1); }

  // Takes from (rows, ..., length, size) what is read, (rows, ..., reads, size). The rows are those from
  // `begin` on.
  at::Tensor read(const at::Tensor& stream, int64_t begin) const;

  TokenBatch inputs;
  // (rows, reads) of the inputs; a row with fewer repeats its last. Undefined where every position is read.
  at::Tensor read_columns;
  at::Tensor read_positions;  // (rows, reads)
  at::Tensor read_branches;   // (rows, reads), or undefined where each row is of one sequence
  bool uniform;               // rows are even, and of each the same number of its last columns is read
};

}  // namespace attention_bypass
