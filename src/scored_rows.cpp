#include "scored_rows.h"

#include <algorithm>

namespace attention_bypass {

namespace {

std::vector<TokenRow> without_last(std::vector<TokenRow> rows) {
  for (auto& row : rows) row.pop_back();
  return rows;
}

}  // namespace

ScoredRows::ScoredRows(const std::vector<TokenRow>& rows, const std::vector<int64_t>& first,
                       at::Device device)
    : inputs(TokenBatch::of(without_last(rows), device)) {
  int64_t most = 0;
  for (size_t row = 0; row < rows.size(); ++row) {
    most = std::max(most, static_cast<int64_t>(rows[row].size()) - first[row]);
  }
  auto columns = at::empty({static_cast<int64_t>(rows.size()), most}, at::kLong);
  auto* column = columns.data_ptr<int64_t>();
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto end = static_cast<int64_t>(rows[row].size());
    offsets.push_back(static_cast<int64_t>(targets.size()));
    for (int64_t read = 0; read < most; ++read) *column++ = std::min(first[row] - 1 + read, end - 2);
    for (int64_t token = first[row]; token < end; ++token) {
      places.push_back(static_cast<int64_t>(row) * most + token - first[row]);
      targets.push_back(rows[row][static_cast<size_t>(token)]);
    }
  }
  read_columns = columns.to(device);
  read_positions = inputs.positions.gather(1, read_columns);
  uniform = inputs.even && std::all_of(first.begin(), first.end(),
                                       [&first](int64_t token) { return token == first.front(); });
}

at::Tensor ScoredRows::read(const at::Tensor& stream, int64_t begin) const {
  const int64_t axis = stream.dim() - 2;
  if (uniform) return stream.narrow(axis, length() - reads(), reads());
  auto columns = read_columns.narrow(0, begin, stream.size(0));
  auto shape = stream.sizes().vec();
  shape[static_cast<size_t>(axis)] = reads();
  if (axis == 2) columns = columns.unsqueeze(1);
  return stream.gather(axis, columns.unsqueeze(-1).expand(shape));
}

}  // namespace attention_bypass
