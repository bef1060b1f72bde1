#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "forward/packed_row.h"

namespace attention_bypass {

// The key position of padding: no token attends to it.
constexpr int64_t hidden_position = INT64_MAX;

// A batch of rows. Shorter rows are padded at their end.
struct TokenBatch {
  at::Tensor ids;            // (rows, longest)
  at::Tensor positions;      // (rows, longest), for queries and position embeddings
  at::Tensor key_positions;  // (rows, longest), hidden_position for padding
  std::vector<int64_t> lengths;
  bool even;            // all rows have the same length and one sequence each
  at::Tensor branches;  // (rows, longest), PackedRow::branches; undefined if each row has one sequence

  // rows: none of them empty.
  static TokenBatch of(const std::vector<TokenRow>& rows, at::Device device);
  static TokenBatch of(const std::vector<PackedRow>& rows, at::Device device);
};

}  // namespace attention_bypass
