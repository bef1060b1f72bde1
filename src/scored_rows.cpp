#include "scored_rows.h"

#include <algorithm>

namespace attention_bypass {

std::vector<PackedRow> Scorable::packed() const {
  std::vector<PackedRow> rows;
  auto sequence = sequences.begin();
  auto from = first.begin();
  for (const auto size : groups) {
    rows.emplace_back(std::vector<TokenRow>(sequence, sequence + size),
                      std::vector<int64_t>(from, from + size));
    sequence += size;
    from += size;
  }
  return rows;
}

ScoredRows::ScoredRows(const Scorable& of, at::Device device) {
  const auto packed = of.packed();
  inputs = TokenBatch::of(packed, device);
  std::vector<std::vector<int64_t>> columns;  // of each row
  std::vector<int64_t> rows;                  // of each scored token
  size_t sequence = 0;
  for (const auto& row : packed) {
    auto& read = columns.emplace_back();
    for (size_t member = 0; member < row.begins.size(); ++member, ++sequence) {
      const auto& tokens = of.sequences[sequence];
      offsets.push_back(std::ssize(targets));
      for (auto token = of.first[sequence]; token < std::ssize(tokens); ++token) {
        rows.push_back(std::ssize(columns) - 1);
        places.push_back(std::ssize(read));
        read.push_back(row.column(member, token - 1));
        targets.push_back(tokens[static_cast<size_t>(token)]);
      }
    }
  }
  int64_t most = 0;
  for (const auto& read : columns) most = std::max<int64_t>(most, std::ssize(read));
  for (size_t token = 0; token < places.size(); ++token) places[token] += rows[token] * most;
  auto filled = at::empty({std::ssize(columns), most}, at::kLong);
  auto* out = filled.data_ptr<int64_t>();
  for (const auto& read : columns) {
    out = std::copy(read.begin(), read.end(), out);
    out = std::fill_n(out, most - std::ssize(read), read.back());
  }
  read_columns = filled.to(device);
  read_positions = inputs.positions.gather(1, read_columns);
  if (inputs.branches.defined()) read_branches = inputs.branches.gather(1, read_columns);
  uniform = inputs.even && std::all_of(of.first.begin(), of.first.end(),
                                       [&of](int64_t token) { return token == of.first.front(); });
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
