#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace attention_bypass {

using TokenRow = std::vector<int64_t>;

// The key position of a column that no token may attend to.
constexpr int64_t hidden_position = INT64_MAX;

// Rows of unequal length side by side, the shorter ones filled up behind their end.
struct TokenBatch {
  at::Tensor ids;            // (rows, longest)
  at::Tensor positions;      // (rows, longest), of the tokens as queries and for position embeddings
  at::Tensor key_positions;  // (rows, longest), hidden_position where a row has ended
  std::vector<int64_t> lengths;
  bool even;  // all rows are of one length

  // Rows are not empty.
  static TokenBatch of(const std::vector<TokenRow>& rows, at::Device device);
  // One token for each row, behind a cache.
  static TokenBatch step(const TokenRow& tokens, const std::vector<int64_t>& positions, at::Device device);
};

}  // namespace attention_bypass
