#include "decode/partial_attention.h"

#include <gtest/gtest.h>

namespace attention_bypass {
namespace {

// Rows of one, two and no visible keys of the first part.
at::Tensor mask_of(const std::vector<int64_t>& seen, int64_t keys, at::ScalarType type) {
  const auto hidden = at::arange(keys, at::kLong) >= at::tensor(seen, at::kLong).unsqueeze(1);
  return at::zeros({std::ssize(seen), 16}, type)
      .narrow(1, 0, keys)
      .masked_fill_(hidden, hiding(type))
      .view({std::ssize(seen), 1, 1, keys});
}

void expect_joined(at::ScalarType type, double tolerance, decltype(attend_partially)& attend) {
  at::manual_seed(1);
  const int64_t heads = 2;
  const int64_t size = 8;
  const std::vector<int64_t> seen = {3, 1, 0};
  const auto random = [&](int64_t tokens) { return at::randn({3, heads, tokens, size}).to(type); };
  const auto queries = random(1);
  const auto keys = random(3);
  const auto values = random(3);
  const auto more_keys = random(2);
  const auto more_values = random(2);
  const auto first = attend(queries, keys, values, mask_of(seen, 3, type), 0.5);
  const auto second = attend(queries, more_keys, more_values, mask_of({2, 2, 2}, 2, type), 0.5);
  const auto result = joined(first, second);
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t count = seen[static_cast<size_t>(row)];
    const auto visible = [&](const at::Tensor& some, const at::Tensor& more) {
      return at::cat({some[row].narrow(1, 0, count), more[row]}, 1).to(at::kDouble);
    };
    const auto weights =
        (queries[row].to(at::kDouble).matmul(visible(keys, more_keys).transpose(1, 2)) * 0.5).softmax(-1);
    const auto expected = weights.matmul(visible(values, more_values)).select(1, 0);
    const auto difference = (result[row][0].to(at::kDouble) - expected).abs().max().item<double>();
    EXPECT_LE(difference, tolerance) << "row " << row;
  }
}

TEST(PartialAttention, JoinedIsAttentionToBothParts) {
  for (auto* attend : {attend_partially, attend_with_products}) {
    expect_joined(at::kFloat, 1e-5, *attend);
    expect_joined(at::kBFloat16, 3e-2, *attend);
    expect_joined(at::kHalf, 4e-3, *attend);
  }
}

}  // namespace
}  // namespace attention_bypass
