#include "forward/packed_row.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rows.h"

namespace attention_bypass {
namespace {

using Numbers = std::vector<int64_t>;

TEST(PackedRow, KeepsASequenceOfItsOwn) {
  const PackedRow row(TokenRow{5, 6, 7});
  EXPECT_EQ(row.tokens, (Numbers{5, 6, 7}));
  EXPECT_EQ(row.positions, (Numbers{0, 1, 2}));
  EXPECT_EQ(row.branches, (Numbers{0, 0, 0}));
  for (int64_t position = 0; position < 3; ++position) EXPECT_EQ(row.column(0, position), position);
}

TEST(PackedRow, PutsSharedTokensFirst) {
  const PackedRow row({{1, 2, 3, 4, 9}, {1, 2, 5, 9}, {1, 2, 3, 6, 7, 9}}, {3, 3, 4});
  EXPECT_EQ(row.shared, 2);
  EXPECT_EQ(row.tokens, (Numbers{1, 2, 3, 4, 5, 3, 6, 7}));
  EXPECT_EQ(row.positions, (Numbers{0, 1, 2, 3, 2, 2, 3, 4}));
  EXPECT_EQ(row.branches, (Numbers{0, 0, 1, 1, 2, 3, 3, 3}));
  EXPECT_EQ(row.begins, (Numbers{2, 4, 5}));
}

TEST(PackedRow, SharesNoScoredToken) {
  const PackedRow row({{1, 2, 3, 4}, {1, 2, 3, 5}}, {3, 1});
  EXPECT_EQ(row.shared, 1);
}

TEST(PackedRow, LeavesOutTheLastToken) {
  const PackedRow row({{1, 2, 3}, {1, 2}}, {1, 1});
  EXPECT_EQ(row.tokens, (Numbers{1, 2}));
  EXPECT_EQ(row.branches, (Numbers{0, 1}));
}

TEST(PackedRow, HasEveryTokenOfEverySequence) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto [sequences, first] = random_sequences(seed);
    const PackedRow row(sequences, first);
    auto count = static_cast<size_t>(row.shared);
    for (size_t sequence = 0; sequence < sequences.size(); ++sequence) {
      const auto& tokens = sequences[sequence];
      for (size_t position = 0; position + 1 < tokens.size(); ++position) {
        const auto column = static_cast<size_t>(row.column(sequence, static_cast<int64_t>(position)));
        EXPECT_EQ(row.tokens.at(column), tokens[position]);
        EXPECT_EQ(row.positions.at(column), position);
        const auto own = sequences.size() > 1 ? static_cast<int64_t>(sequence) + 1 : 0;
        EXPECT_EQ(row.branches.at(column), static_cast<int64_t>(position) < row.shared ? 0 : own);
      }
      count += tokens.size() - 1 - static_cast<size_t>(row.shared);
    }
    EXPECT_EQ(row.tokens.size(), count);
  }
}

TEST(PackedRow, SharesAsManyTokensAsItCan) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto [sequences, first] = random_sequences(seed);
    if (sequences.size() == 1) continue;
    int64_t shared = 0;
    const auto all_have_next = [&, &sequences = sequences, &first = first] {
      const auto place = static_cast<size_t>(shared);
      for (size_t sequence = 0; sequence < sequences.size(); ++sequence) {
        const auto& tokens = sequences[sequence];
        if (shared == first[sequence] || place + 1 >= tokens.size()) return false;
        if (tokens[place] != sequences.front()[place]) return false;
      }
      return true;
    };
    while (all_have_next()) ++shared;
    EXPECT_EQ(PackedRow(sequences, first).shared, shared) << seed;
  }
}

}  // namespace
}  // namespace attention_bypass
