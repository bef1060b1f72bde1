#include "forward/pass_rows.h"

#include <algorithm>

#include "base/transfer.h"

namespace attention_bypass {

PassRows::PassRows(const std::vector<TokenRow>& rows, at::Device device)
    : inputs(TokenBatch::of(rows, device)), read_positions(inputs.positions), uniform(inputs.even) {}

PassRows::PassRows(const std::vector<PackedRow>& rows, const std::vector<std::vector<int64_t>>& columns,
                   at::Device device)
    : inputs(TokenBatch::of(rows, device)) {
  int64_t most = 0;
  for (const auto& read : columns) most = std::max<int64_t>(most, std::ssize(read));
  auto filled = at::empty({std::ssize(columns), most}, at::kLong);
  auto* out = filled.data_ptr<int64_t>();
  for (const auto& read : columns) {
    out = std::copy(read.begin(), read.end(), out);
    out = std::fill_n(out, most - std::ssize(read), read.back());
  }
  read_columns = to_device(filled, device);
  read_positions = inputs.positions.gather(1, read_columns);
  if (inputs.branches.defined()) read_branches = inputs.branches.gather(1, read_columns);
  const int64_t last = inputs.ids.size(1) - most;
  uniform = inputs.even && std::all_of(columns.begin(), columns.end(), [&](const std::vector<int64_t>& read) {
              return std::ssize(read) == most && read.front() == last;
            });
}

at::Tensor PassRows::read(const at::Tensor& stream, int64_t begin) const {
  if (!read_columns.defined()) return stream;
  const int64_t axis = stream.dim() - 2;
  if (uniform) return stream.narrow(axis, length() - reads(), reads());
  auto columns = read_columns.narrow(0, begin, stream.size(0));
  auto shape = stream.sizes().vec();
  shape[static_cast<size_t>(axis)] = reads();
  if (axis == 2) columns = columns.unsqueeze(1);
  return stream.gather(axis, columns.unsqueeze(-1).expand(shape));
}

}  // namespace attention_bypass
