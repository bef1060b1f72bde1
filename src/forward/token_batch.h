#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "forward/packed_row.h"

namespace attention_bypass {

// The key position of a column that no token may attend to.
constexpr int64_t hidden_position = INT64_MAX;

// Rows of unequal length side by side, the shorter ones filled up behind their end.
struct TokenBatch {
  at::Tensor ids;            // (rows, longest)
  at::Tensor positions;      // (rows, longest), of the tokens as queries and for position embeddings
  at::Tensor key_positions;  // (rows, longest), hidden_position where a row has ended
  std::vector<int64_t> lengths;
  bool even;            // all rows are of one length, and of one sequence
  at::Tensor branches;  // (rows, longest) of packed rows; undefined where each row is of one sequence

  // Rows are not empty.
  static TokenBatch of(const std::vector<TokenRow>& rows, at::Device device);
  static TokenBatch of(const std::vector<PackedRow>& rows, at::Device device);
  // One token for each row, behind a cache.
  static TokenBatch step(const TokenRow& tokens, const std::vector<int64_t>& positions, at::Device device);
};

}  // namespace attention_bypass
