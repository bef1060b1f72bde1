#include "forward/visibility.h"

#include <gtest/gtest.h>

#include <set>

#include "forward/token_batch.h"
#include "rows.h"

namespace attention_bypass {
namespace {

// The columns that one query of a row may read.
std::set<int64_t> visible_columns(const at::Tensor& mask, int64_t row, int64_t query) {
  std::set<int64_t> columns;
  for (int64_t key = 0; key < mask.size(3); ++key) {
    if (mask[row][0][query][key].item<bool>()) columns.insert(key);
  }
  return columns;
}

TEST(Visibility, OfAPackedTokenIsItsOwnSequence) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const auto one = random_sequences(seed);
    const auto other = random_sequences(seed + 1000);
    const std::vector<Sequences> given = {one, other};
    const std::vector<PackedRow> rows = {{one.tokens, one.first}, {other.tokens, other.first}};
    const auto batch = TokenBatch::of(rows, at::kCPU);
    Visibility visibility(batch.positions, batch.key_positions, batch.even, batch.branches, batch.branches);
    for (const int64_t window : {0, 1, 3}) {
      const auto& mask = visibility.within(window).mask;
      if (!mask) continue;  // of even rows, see below
      for (size_t row = 0; row < rows.size(); ++row) {
        for (size_t sequence = 0; sequence < given[row].tokens.size(); ++sequence) {
          const auto length = std::ssize(given[row].tokens[sequence]) - 1;
          for (int64_t position = 0; position < length; ++position) {
            std::set<int64_t> expected;
            for (int64_t key = 0; key <= position; ++key) {
              if (window == 0 || key > position - window) expected.insert(rows[row].column(sequence, key));
            }
            const auto query = rows[row].column(sequence, position);
            EXPECT_EQ(visible_columns(*mask, static_cast<int64_t>(row), query), expected)
                << "seed " << seed << ", row " << row << ", sequence " << sequence << ", position "
                << position << ", window " << window;
          }
        }
      }
    }
  }
}

TEST(Visibility, OfEvenRowsNeedsNoMaskWithoutAWindow) {
  const auto positions = at::arange(5, at::kLong).unsqueeze(0);
  Visibility whole(positions, positions, true);
  for (const int64_t window : {0, 5, 9}) {
    EXPECT_FALSE(whole.within(window).mask) << window;
    EXPECT_TRUE(whole.within(window).causal) << window;
  }
  EXPECT_TRUE(whole.within(4).mask);
  Visibility last(positions.narrow(1, 4, 1), positions, true);
  EXPECT_FALSE(last.within(0).mask);
  EXPECT_FALSE(last.within(0).causal);
}

TEST(Visibility, OfTheLastQueriesIsTheEndOfTheTriangle) {
  const auto positions = at::arange(5, at::kLong).unsqueeze(0);
  Visibility visibility(positions.narrow(1, 3, 2), positions, true);
  const auto& all = *visibility.within(0).mask;
  EXPECT_EQ(visible_columns(all, 0, 0), (std::set<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(visible_columns(all, 0, 1), (std::set<int64_t>{0, 1, 2, 3, 4}));
  const auto& near = *visibility.within(2).mask;
  EXPECT_EQ(visible_columns(near, 0, 0), (std::set<int64_t>{2, 3}));
  EXPECT_EQ(visible_columns(near, 0, 1), (std::set<int64_t>{3, 4}));
}

}  // namespace
}  // namespace attention_bypass
