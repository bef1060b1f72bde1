#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "forward/token_batch.h"

namespace attention_bypass {

// Rows of one forward pass, and the positions of each row at which the final residual stream is read.
struct PassRows {
  // Reads every position, including the padding of shorter rows.
  PassRows(const std::vector<TokenRow>& rows, at::Device device);
  // columns: for each row, the indices of the tokens that are read; at least one.
  PassRows(const std::vector<PackedRow>& rows, const std::vector<std::vector<int64_t>>& columns,
           at::Device device);

  int64_t count() const { return inputs.ids.size(0); }
  int64_t length() const { return inputs.ids.size(1); }
  int64_t reads() const { return read_positions.size(1); }

  // Returns the read positions (rows, ..., reads, size) of a tensor (rows, ..., length, size), whose first
  // row is row `begin` of the pass.
  at::Tensor read(const at::Tensor& stream, int64_t begin) const;

  TokenBatch inputs;
  // (rows, reads), indices into the row; a row with fewer reads repeats its last. Undefined: all positions.
  at::Tensor read_columns;
  at::Tensor read_positions;  // (rows, reads)
  at::Tensor read_branches;   // (rows, reads), or undefined if each row has one sequence
  bool uniform;               // rows are even, and the last `reads` columns of each row are read
};

}  // namespace attention_bypass
