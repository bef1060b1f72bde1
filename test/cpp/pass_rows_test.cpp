#include "forward/pass_rows.h"

#include <gtest/gtest.h>

#include "rows.h"
#include "score/targets.h"

namespace attention_bypass {
namespace {

// A stream that holds its own column: (rows, length, 2), or (rows, 3, length, 2) as heads have it.
at::Tensor columns_as_stream(int64_t rows, int64_t length, bool heads) {
  const auto columns = at::arange(length, at::kFloat).unsqueeze(1);
  if (heads) return columns.expand({rows, 3, length, 2}).contiguous();
  return columns.expand({rows, length, 2}).contiguous();
}

void expect_reads(const PassRows& rows, const std::vector<std::vector<int64_t>>& columns) {
  for (const bool heads : {false, true}) {
    const auto read = rows.read(columns_as_stream(rows.count(), rows.length(), heads), 0);
    for (size_t row = 0; row < columns.size(); ++row) {
      for (int64_t place = 0; place < rows.reads(); ++place) {
        // A row with fewer repeats its last.
        const auto expected = columns[row][std::min(static_cast<size_t>(place), columns[row].size() - 1)];
        const auto of_row = read[static_cast<int64_t>(row)];
        const auto value = heads ? of_row[2][place][1] : of_row[place][1];
        EXPECT_EQ(value.item<float>(), static_cast<float>(expected)) << "row " << row << ", place " << place;
      }
    }
  }
}

TEST(PassRows, ReadEveryPositionWithoutColumns) {
  const PassRows rows({{1, 2, 3}, {4, 5, 6}}, at::kCPU);
  EXPECT_TRUE(rows.uniform);
  EXPECT_EQ(rows.reads(), 3);
  expect_reads(rows, {{0, 1, 2}, {0, 1, 2}});
}

TEST(PassRows, ReadTheirLastColumns) {
  const std::vector<std::vector<int64_t>> columns = {{2, 3}, {2, 3}};
  const PassRows rows({PackedRow(TokenRow{1, 2, 3, 4}), PackedRow(TokenRow{5, 6, 7, 8})}, columns, at::kCPU);
  EXPECT_TRUE(rows.uniform);
  expect_reads(rows, columns);
}

TEST(PassRows, ReadTheColumnsOfEachRow) {
  const std::vector<std::vector<int64_t>> columns = {{0, 2, 3}, {1}};
  const PassRows rows({PackedRow(TokenRow{1, 2, 3, 4}), PackedRow(TokenRow{5, 6})}, columns, at::kCPU);
  EXPECT_FALSE(rows.uniform);
  EXPECT_EQ(rows.reads(), 3);
  EXPECT_TRUE(at::equal(rows.read_positions, at::tensor({0, 2, 3, 1, 1, 1}, at::kLong).view({2, 3})));
  expect_reads(rows, columns);
}

TEST(PassRows, ReadSomeOfTheRows) {
  const PassRows rows({PackedRow(TokenRow{1, 2, 3}), PackedRow(TokenRow{4, 5, 6})}, {{0}, {1}}, at::kCPU);
  const auto read = rows.read(columns_as_stream(1, 3, false), 1);
  EXPECT_EQ(read.sizes(), at::IntArrayRef({1, 1, 2}));
  EXPECT_EQ(read[0][0][0].item<float>(), 1);
}

// A token is predicted at the token before it, wherever packing has put that.
TEST(Targets, AreReadWhereTheyArePredicted) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto one = random_sequences(seed);
    const auto other = random_sequences(seed + 1000);
    Scorable scorable{one.tokens, one.first, {std::ssize(one.tokens), std::ssize(other.tokens)}};
    scorable.sequences.insert(scorable.sequences.end(), other.tokens.begin(), other.tokens.end());
    scorable.first.insert(scorable.first.end(), other.first.begin(), other.first.end());
    const Targets targets(scorable);
    const PassRows rows(targets.rows, targets.columns, at::kCPU);
    const auto read = rows.inputs.ids.gather(1, rows.read_columns).flatten();
    const auto positions = rows.read_positions.flatten();
    const auto sequence_of_token = targets.sequence_of_token();
    size_t target = 0;
    for (size_t sequence = 0; sequence < scorable.sequences.size(); ++sequence) {
      const auto& tokens = scorable.sequences[sequence];
      EXPECT_EQ(targets.offsets[sequence], target);
      for (auto token = static_cast<size_t>(scorable.first[sequence]); token < tokens.size(); ++token) {
        EXPECT_EQ(targets.tokens.at(target), tokens[token]);
        EXPECT_EQ(sequence_of_token.at(target), sequence);
        const auto place = targets.places.at(target);
        EXPECT_EQ(read[place].item<int64_t>(), tokens[token - 1]);
        EXPECT_EQ(positions[place].item<int64_t>(), token - 1);
        ++target;
      }
    }
    EXPECT_EQ(targets.tokens.size(), target);
  }
}

}  // namespace
}  // namespace attention_bypass
