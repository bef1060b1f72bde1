#include "score/targets.h"

#include <algorithm>
#include <numeric>

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

void Scorable::keep_groups(int64_t count) {
  groups.resize(static_cast<size_t>(count));
  const auto kept = static_cast<size_t>(std::accumulate(groups.begin(), groups.end(), int64_t{0}));
  sequences.resize(kept);
  first.resize(kept);
}

Targets::Targets(const Scorable& of) : rows(of.packed()) {
  std::vector<int64_t> row_of_token;
  size_t sequence = 0;
  int64_t most = 0;
  for (const auto& row : rows) {
    auto& read = columns.emplace_back();
    for (size_t member = 0; member < row.begins.size(); ++member, ++sequence) {
      const auto& given = of.sequences[sequence];
      offsets.push_back(std::ssize(tokens));
      for (auto token = of.first[sequence]; token < std::ssize(given); ++token) {
        row_of_token.push_back(std::ssize(columns) - 1);
        places.push_back(std::ssize(read));
        read.push_back(row.column(member, token - 1));
        tokens.push_back(given[static_cast<size_t>(token)]);
      }
    }
    most = std::max<int64_t>(most, std::ssize(read));
  }
  for (size_t token = 0; token < places.size(); ++token) places[token] += row_of_token[token] * most;
}

std::vector<int64_t> Targets::sequence_of_token() const {
  std::vector<int64_t> sequences;
  for (size_t sequence = 0; sequence < offsets.size(); ++sequence) {
    const bool last = sequence + 1 == offsets.size();
    sequences.resize(last ? tokens.size() : static_cast<size_t>(offsets[sequence + 1]),
                     static_cast<int64_t>(sequence));
  }
  return sequences;
}

}  // namespace attention_bypass
