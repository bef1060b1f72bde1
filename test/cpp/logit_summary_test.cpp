#include "head/logit_summary.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "error_code.h"
#include "head_model.h"

namespace attention_bypass {
namespace {

// Logits are sums of few products in float32, and what is made of them sums of thousands of terms.
constexpr double tolerance = 1e-4;

struct Case {
  at::Tensor embedding, scale, hidden;  // the scale of the final norm and the residual stream are float32
  std::vector<int64_t> targets;
};

// Sizes that fill neither the tiles nor the panels.
Case random_case(at::ScalarType type, int64_t positions, int64_t vocabulary, int64_t size) {
  at::manual_seed(7);
  Case made{at::randn({vocabulary, size}).to(type), at::rand({size}), at::randn({positions, size}), {}};
  for (int64_t position = 0; position < positions; ++position) {
    made.targets.push_back(position * 7919 % vocabulary);
  }
  return made;
}

// A position's logits in float64, by loops. The norm has the dtype of the model's arithmetic.
std::vector<double> logits_of(const Case& given, int64_t position) {
  const auto type = arithmetic_type(at::kCPU, given.embedding.scalar_type());
  const auto normed = scaling_norm(given.scale, type)(given.hidden[position]).to(at::kDouble);
  const auto embedding = given.embedding.to(at::kDouble).contiguous();
  const auto* right = normed.const_data_ptr<double>();
  const auto* left = embedding.const_data_ptr<double>();
  std::vector<double> logits(static_cast<size_t>(embedding.size(0)));
  for (auto& logit : logits) {
    for (int64_t feature = 0; feature < embedding.size(1); ++feature) logit += *left++ * right[feature];
  }
  return logits;
}

LogitSummary summarize(const Case& given, const std::vector<int64_t>& targets) {
  Control control;
  return summarize_logits(head_model(given.embedding, given.scale), given.hidden, targets, control);
}

// The token of the greatest logit, except where another comes too near to it to tell.
void expect_best(int64_t best, const std::vector<double>& logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  EXPECT_NEAR(logits[static_cast<size_t>(best)], highest, tolerance);
}

void expect_summary(const Case& given) {
  const auto summary = summarize(given, given.targets);
  const auto best = summarize(given, {});
  ASSERT_EQ(summary.best.size(), given.targets.size());
  ASSERT_EQ(best.best.size(), given.targets.size());
  for (size_t position = 0; position < given.targets.size(); ++position) {
    SCOPED_TRACE(position);
    const auto logits = logits_of(given, static_cast<int64_t>(position));
    const auto target = static_cast<size_t>(given.targets[position]);
    double total = 0;
    for (const auto logit : logits) total += std::exp(logit);
    double entropy = 0;
    double other = -INFINITY;
    for (size_t token = 0; token < logits.size(); ++token) {
      const double log_probability = logits[token] - std::log(total);
      entropy -= std::exp(log_probability) * log_probability;
      if (token != target) other = std::max(other, logits[token]);
    }
    EXPECT_NEAR(summary.log_likelihood[position], logits[target] - std::log(total), tolerance);
    EXPECT_NEAR(summary.entropy[position], entropy, tolerance);
    EXPECT_NEAR(summary.margin[position], logits[target] - other, tolerance);
    expect_best(summary.best[position], logits);
    expect_best(best.best[position], logits);
    EXPECT_EQ(best.doubt[position], 0);
  }
}

TEST(LogitSummary, IsThatOfTheLogits) {
  expect_summary(random_case(at::kFloat, 150, 8300, 8));
  expect_summary(random_case(at::kFloat, 1, 3, 5));
}

TEST(LogitSummary, IsThatOfTheLogitsInHalfPrecision) {
  expect_summary(random_case(at::kBFloat16, 150, 300, 8));
  expect_summary(random_case(at::kBFloat16, 20, 300, 7));
  expect_summary(random_case(at::kHalf, 20, 300, 8));
}

TEST(LogitSummary, IsTheSameOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    expect_summary(random_case(at::kFloat, 20, 1000, 8));
  }
  at::set_num_threads(before);
}

TEST(LogitSummary, OfEqualLogitsIsUniform) {
  const auto hidden = at::tensor({1.0F, -1.0F, 1.0F, -1.0F}).expand({2, 4});
  const auto given = Case{at::ones({1000, 4}), at::ones({4}), hidden, {3, 0}};
  const auto summary = summarize(given, given.targets);
  for (size_t position = 0; position < 2; ++position) {
    EXPECT_NEAR(summary.log_likelihood[position], -std::log(1000), 1e-5);
    EXPECT_NEAR(summary.entropy[position], std::log(1000), 1e-5);
    EXPECT_EQ(summary.margin[position], 0);
    EXPECT_EQ(summary.best[position], 0);
  }
  EXPECT_EQ(summarize(given, {}).best, (std::vector<int64_t>{0, 0}));
}

// exp of these overflows float32 long before.
TEST(LogitSummary, BearsLargeLogits) {
  const auto unit = at::tensor({1.0F, -1.0F}).unsqueeze(0);  // its norm changes nothing
  const auto given = Case{
      at::tensor({500.0F, -500.0F, 499.5F, -499.5F, -500.0F, 500.0F}).view({3, 2}), at::ones({2}), unit, {1}};
  const auto summary = summarize(given, given.targets);
  const double p = 1 / (1 + std::exp(1));
  EXPECT_NEAR(summary.log_likelihood[0], std::log(p), 1e-5);
  EXPECT_NEAR(summary.entropy[0], -p * std::log(p) - (1 - p) * std::log(1 - p), 1e-5);
  EXPECT_EQ(summary.margin[0], -1);
  EXPECT_EQ(summary.best[0], 0);
}

// Small whole numbers, whose products are exact. The greatest logit is that of tokens 70, 200 and 450, in
// different tiles and on different threads.
TEST(LogitSummary, TakesTheLowestOfEqualTokens) {
  const auto unit = at::tensor({1.0F, -1.0F});
  const auto embedding = unit.repeat({500, 1});
  for (const int64_t token : {70, 200, 450}) embedding[token].mul_(3);
  const auto given = Case{embedding, at::ones({2}), unit.repeat({4, 1}), {450, 70, 5, 200}};
  const std::vector<int64_t> expected = {70, 70, 70, 70};
  const auto summary = summarize(given, given.targets);
  EXPECT_EQ(summary.best, expected);
  EXPECT_EQ(summary.margin, (std::vector<float>{0, 0, -4, 0}));
  EXPECT_EQ(summarize(given, {}).best, expected);
}

TEST(LogitSummary, ShowsLogitsThatAreNotFinite) {
  for (const float number : {NAN, INFINITY, -INFINITY}) {
    auto given = random_case(at::kFloat, 3, 200, 4);
    given.hidden[1].fill_(number);
    const auto best = summarize(given, {});
    EXPECT_EQ(best.doubt[0], 0);
    EXPECT_TRUE(std::isnan(best.doubt[1])) << number;
    EXPECT_EQ(best.doubt[2], 0);
    const auto summary = summarize(given, given.targets);
    EXPECT_TRUE(std::isfinite(summary.log_likelihood[0]));
    EXPECT_FALSE(std::isfinite(summary.log_likelihood[1])) << number;
    EXPECT_TRUE(std::isfinite(summary.log_likelihood[2]));
  }
}

TEST(LogitSummary, EndsWhenItIsAborted) {
  const auto given = random_case(at::kFloat, 3, 200, 4);
  Control control;
  control.abort();
  const auto model = head_model(given.embedding, given.scale);
  EXPECT_EQ(error_code([&] { (void)summarize_logits(model, given.hidden, given.targets, control); }),
            "ABORTED");
}

}  // namespace
}  // namespace attention_bypass
