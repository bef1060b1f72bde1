#include "token_batch.h"

#include <algorithm>

namespace attention_bypass {

TokenBatch TokenBatch::of(const std::vector<TokenRow>& rows, at::Device device) {
  TokenBatch batch;
  int64_t longest = 0;
  for (const auto& row : rows) {
    batch.lengths.push_back(static_cast<int64_t>(row.size()));
    longest = std::max(longest, batch.lengths.back());
  }
  const auto count = static_cast<int64_t>(rows.size());
  batch.even = std::all_of(batch.lengths.begin(), batch.lengths.end(),
                           [longest](int64_t length) { return length == longest; });
  auto ids = at::zeros({count, longest}, at::kLong);
  auto lengths = at::empty({count, 1}, at::kLong);
  for (int64_t row = 0; row < count; ++row) {
    const auto& tokens = rows[static_cast<size_t>(row)];
    std::copy(tokens.begin(), tokens.end(), ids.data_ptr<int64_t>() + row * longest);
    lengths.data_ptr<int64_t>()[row] = batch.lengths[static_cast<size_t>(row)];
  }
  const auto columns = at::arange(longest, at::kLong).unsqueeze(0);
  // Filling stands at its row's last position, where it sees something and its result is not read.
  const auto positions = at::minimum(columns, lengths - 1);
  const auto key_positions = at::where(columns < lengths, columns, hidden_position);
  batch.ids = ids.to(device);
  batch.positions = positions.to(device);
  batch.key_positions = key_positions.to(device);
  return batch;
}

TokenBatch TokenBatch::step(const TokenRow& tokens, const std::vector<int64_t>& positions,
                            at::Device device) {
  TokenBatch batch;
  batch.lengths.assign(tokens.size(), 1);
  batch.even = std::all_of(positions.begin(), positions.end(),
                           [&positions](int64_t position) { return position == positions.front(); });
  batch.ids = at::tensor(tokens, at::kLong).unsqueeze(1).to(device);
  batch.positions = at::tensor(positions, at::kLong).unsqueeze(1).to(device);
  batch.key_positions = batch.positions;
  return batch;
}

}  // namespace attention_bypass
