#include "forward/token_batch.h"

#include <algorithm>

#include "base/transfer.h"

namespace attention_bypass {

TokenBatch TokenBatch::of(const std::vector<TokenRow>& rows, at::Device device) {
  return of(std::vector<PackedRow>(rows.begin(), rows.end()), device);
}

TokenBatch TokenBatch::of(const std::vector<PackedRow>& rows, at::Device device) {
  TokenBatch batch;
  int64_t longest = 0;
  for (const auto& row : rows) {
    batch.lengths.push_back(std::ssize(row.tokens));
    longest = std::max(longest, batch.lengths.back());
  }
  const bool packed =
      std::any_of(rows.begin(), rows.end(), [](const PackedRow& row) { return row.begins.size() > 1; });
  batch.even = !packed && std::all_of(batch.lengths.begin(), batch.lengths.end(),
                                      [longest](int64_t length) { return length == longest; });
  // Padding has the position of its row's last token, so it attends to some token. Its result is not read.
  const auto filled = [&](std::vector<int64_t> PackedRow::* field) {
    auto tensor = at::empty({std::ssize(rows), longest}, at::kLong);
    auto* out = tensor.data_ptr<int64_t>();
    for (const auto& row : rows) {
      const auto& values = row.*field;
      out = std::copy(values.begin(), values.end(), out);
      out = std::fill_n(out, longest - std::ssize(values), values.back());
    }
    return tensor;
  };
  const auto positions = filled(&PackedRow::positions);
  const auto ends = at::tensor(batch.lengths, at::kLong).unsqueeze(1);
  const auto key_positions =
      at::where(at::arange(longest, at::kLong).unsqueeze(0) < ends, positions, hidden_position);
  batch.ids = to_device(filled(&PackedRow::tokens), device);
  batch.positions = to_device(positions, device);
  batch.key_positions = to_device(key_positions, device);
  if (packed) batch.branches = to_device(filled(&PackedRow::branches), device);
  return batch;
}

}  // namespace attention_bypass
