#include "forward/token_batch.h"

#include <gtest/gtest.h>

namespace attention_bypass {
namespace {

at::Tensor table(const std::vector<int64_t>& numbers, int64_t rows) {
  return at::tensor(numbers, at::kLong).view({rows, -1});
}

TEST(TokenBatch, OfEqualRowsIsEven) {
  const auto batch = TokenBatch::of(std::vector<TokenRow>{{1, 2, 3}, {4, 5, 6}}, at::kCPU);
  EXPECT_TRUE(batch.even);
  EXPECT_EQ(batch.lengths, (std::vector<int64_t>{3, 3}));
  EXPECT_TRUE(at::equal(batch.ids, table({1, 2, 3, 4, 5, 6}, 2)));
  EXPECT_TRUE(at::equal(batch.positions, table({0, 1, 2, 0, 1, 2}, 2)));
  EXPECT_TRUE(at::equal(batch.key_positions, batch.positions));
  EXPECT_FALSE(batch.branches.defined());
}

TEST(TokenBatch, HidesWhatFillsShorterRows) {
  const auto batch = TokenBatch::of(std::vector<TokenRow>{{1, 2, 3}, {4}}, at::kCPU);
  EXPECT_FALSE(batch.even);
  EXPECT_EQ(batch.lengths, (std::vector<int64_t>{3, 1}));
  EXPECT_TRUE(at::equal(batch.ids, table({1, 2, 3, 4, 4, 4}, 2)));
  EXPECT_TRUE(at::equal(batch.positions, table({0, 1, 2, 0, 0, 0}, 2)));
  EXPECT_TRUE(at::equal(batch.key_positions, table({0, 1, 2, 0, hidden_position, hidden_position}, 2)));
}

TEST(TokenBatch, OfPackedRowsHasBranches) {
  const std::vector<PackedRow> rows = {PackedRow({{1, 2, 9}, {1, 3, 9}}, {1, 1}), PackedRow(TokenRow{7, 8})};
  const auto batch = TokenBatch::of(rows, at::kCPU);
  EXPECT_FALSE(batch.even);
  EXPECT_TRUE(at::equal(batch.ids, table({1, 2, 3, 7, 8, 8}, 2)));
  EXPECT_TRUE(at::equal(batch.positions, table({0, 1, 1, 0, 1, 1}, 2)));
  EXPECT_TRUE(at::equal(batch.key_positions, table({0, 1, 1, 0, 1, hidden_position}, 2)));
  EXPECT_TRUE(at::equal(batch.branches, table({0, 1, 2, 0, 0, 0}, 2)));
}

// A packed row may be as long as the others and still is of several sequences.
TEST(TokenBatch, OfPackedRowsIsNeverEven) {
  EXPECT_FALSE(TokenBatch::of(std::vector<PackedRow>{PackedRow({{1, 2}, {1, 3}}, {1, 1})}, at::kCPU).even);
}

}  // namespace
}  // namespace attention_bypass
