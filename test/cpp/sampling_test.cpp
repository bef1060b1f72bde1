#include "decode/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "decode/token_choice.h"

namespace attention_bypass {
namespace {

// The probability of each token: softmax at the temperature, then the top_k most probable, then the fewest of
// these that reach top_p. The lowest id goes first where several are as probable.
std::vector<double> probabilities(const std::vector<float>& logits, const Sampling& sampling) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t left, size_t right) { return logits[left] > logits[right]; });
  if (sampling.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(sampling.top_k)));
  const auto power = [&](size_t token) { return std::exp(logits[token] / sampling.temperature); };
  const auto total = [&] {
    double sum = 0;
    for (const auto token : order) sum += power(token);
    return sum;
  };
  const double of_top_k = total();
  double reached = 0;
  size_t kept = 0;
  while (kept < order.size() && reached < sampling.top_p) reached += power(order[kept++]) / of_top_k;
  if (sampling.top_p < 1) order.resize(kept);
  const double of_kept = total();
  std::vector<double> result(logits.size(), 0);
  for (const auto token : order) result[token] = power(token) / of_kept;
  return result;
}

std::vector<int64_t> draw(const std::vector<float>& logits, const Sampling& sampling, int64_t count,
                          uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> tokens;
  for (int64_t index = 0; index < count; ++index) {
    tokens.push_back(sample_token(logits.data(), std::ssize(logits), sampling, random));
  }
  return tokens;
}

// The number of draws of an outcome is binomial. Beyond five standard deviations it is less than once in a
// million; an outcome without probability must not be drawn at all.
void expect_frequency(int64_t count, int64_t draws, double probability) {
  const auto all = static_cast<double>(draws);
  const double deviation = std::sqrt(all * probability * (1 - probability));
  EXPECT_NEAR(static_cast<double>(count), all * probability, 5 * deviation + 1e-6);
}

void expect_distribution(const std::vector<float>& logits, const Sampling& sampling) {
  const auto expected = probabilities(logits, sampling);
  constexpr int64_t draws = 40'000;
  const auto tokens = draw(logits, sampling, draws);
  for (size_t token = 0; token < logits.size(); ++token) {
    SCOPED_TRACE(testing::Message() << "token " << token << ", temperature " << sampling.temperature
                                    << ", top_k " << sampling.top_k << ", top_p " << sampling.top_p);
    expect_frequency(std::count(tokens.begin(), tokens.end(), static_cast<int64_t>(token)), draws,
                     expected[token]);
  }
}

const std::vector<float> few = {0.5F, 2, -1, 1.5F, 2, 0, -3, 1};

TEST(SampleToken, DrawsByTheSoftmax) {
  for (const double temperature : {0.5, 1.0, 2.0}) expect_distribution(few, {temperature, 0, 1});
}

TEST(SampleToken, DrawsAmongTheTopK) {
  for (const int64_t top_k : {1, 2, 3, 7, 8, 20}) expect_distribution(few, {1, top_k, 1});
}

TEST(SampleToken, DrawsAmongTheTopP) {
  for (const double top_p : {0.01, 0.3, 0.5, 0.9, 0.999}) expect_distribution(few, {1, 0, top_p});
}

TEST(SampleToken, TakesTopPOfTheTopK) {
  for (const double top_p : {0.3, 0.6, 0.9}) expect_distribution(few, {0.8, 4, top_p});
}

TEST(SampleToken, KeepsTheLowestIdsOfEqualLogits) {
  expect_distribution({1, 1, 1, 1, 1}, {1, 3, 1});
  expect_distribution({1, 1, 1, 1}, {1, 0, 0.4});
}

TEST(SampleToken, NeverDrawsAnImpossibleToken) {
  expect_distribution({0, -INFINITY, 1, -INFINITY}, {1, 0, 1});
  expect_distribution({0, -INFINITY, 1, -INFINITY}, {1, 3, 0.95});
}

// Many tokens, of which top_k and top_p keep more than are sorted at first.
TEST(SampleToken, DrawsFromALargeVocabulary) {
  constexpr int64_t draws = 2'000;
  std::vector<float> logits(3000);
  for (size_t token = 0; token < logits.size(); ++token) {
    logits[token] = static_cast<float>(token * 7919 % logits.size()) / 1000;
  }
  for (const auto& sampling :
       {Sampling{1, 0, 1}, Sampling{1, 700, 1}, Sampling{1, 0, 0.5}, Sampling{1, 900, 0.7}}) {
    const auto expected = probabilities(logits, sampling);
    // In twelve groups by the logit, since a token of its own is drawn too rarely.
    const auto group = [&](size_t token) { return static_cast<size_t>(logits[token] * 4); };
    std::vector<double> probability(12);
    std::vector<int64_t> count(12);
    for (size_t token = 0; token < logits.size(); ++token) probability[group(token)] += expected[token];
    for (const auto token : draw(logits, sampling, draws)) {
      ASSERT_GT(expected[static_cast<size_t>(token)], 0) << token;
      ++count[group(static_cast<size_t>(token))];
    }
    for (size_t index = 0; index < count.size(); ++index)
      expect_frequency(count[index], draws, probability[index]);
  }
}

TEST(SampleToken, RepeatsWithTheSameSeed) {
  EXPECT_EQ(draw(few, {1, 0, 0.9}, 100, 3), draw(few, {1, 0, 0.9}, 100, 3));
  EXPECT_NE(draw(few, {1, 0, 0.9}, 100, 3), draw(few, {1, 0, 0.9}, 100, 4));
}

// The token at a share of the cumulative distribution, with tokens in the order of their ids.
int64_t token_at(const std::vector<double>& probability, double share) {
  double sum = 0;
  size_t token = 0;
  while (token < probability.size() && (sum += probability[token]) <= share) ++token;
  return static_cast<int64_t>(token);
}

void expect_by_share(const std::vector<float>& logits, const std::vector<Sampling>& samplings) {
  std::mt19937_64 random(7);
  for (int64_t index = 0; index < 500; ++index) {
    std::vector<double> shares;
    for (size_t row = 0; row < samplings.size(); ++row) shares.push_back(uniform(random));
    const auto rows = at::tensor(logits, at::kFloat).expand({std::ssize(samplings), std::ssize(logits)});
    const auto tokens = sample_tokens(rows, samplings, shares);
    for (size_t row = 0; row < samplings.size(); ++row) {
      ASSERT_EQ(tokens[static_cast<int64_t>(row)].item<int64_t>(),
                token_at(probabilities(logits, samplings[row]), shares[row]))
          << "temperature " << samplings[row].temperature << ", top_k " << samplings[row].top_k << ", top_p "
          << samplings[row].top_p;
    }
  }
}

TEST(SampleTokens, DrawsByShares) {
  expect_by_share(
      few, {{1, 3, 1}, {0.5, 0, 0.6}, {2, 0, 0.95}, {0.8, 4, 0.7}, {1, 1, 1}, {1, 0, 0.01}, {0.7, 0, 1}});
  expect_by_share({1, 1, 1, 1, 1}, {{1, 3, 1}, {1, 0, 0.5}});
  expect_by_share({0, -INFINITY, 1, -INFINITY}, {{1, 3, 0.95}, {1, 2, 1}, {1, 0, 1}});
}

TEST(SampleTokens, DrawsByTheSoftmaxBesideGreedyRows) {
  constexpr int64_t draws = 40'000;
  const Sampling plain{0.7, 0, 1};
  const auto expected = probabilities(few, plain);
  std::mt19937_64 random(11);
  std::vector<double> shares;
  std::vector<Sampling> samplings;
  for (int64_t row = 0; row < 2 * draws; ++row) {
    samplings.push_back(row % 2 == 0 ? plain : Sampling{});
    shares.push_back(uniform(random));
  }
  const auto rows = at::tensor(few, at::kFloat).expand({2 * draws, std::ssize(few)});
  const auto tokens = sample_tokens(rows, samplings, shares).view({draws, 2}).select(1, 0).contiguous();
  const auto* begin = tokens.const_data_ptr<int64_t>();
  for (size_t token = 0; token < few.size(); ++token) {
    expect_frequency(std::count(begin, begin + draws, static_cast<int64_t>(token)), draws, expected[token]);
  }
}

TEST(SampleToken, BearsLargeLogits) {
  std::mt19937_64 random(5);
  const std::vector<float> logits = {3e38F, -3e38F, 2.9e38F};
  EXPECT_EQ(sample_token(logits.data(), 3, {0.01, 0, 1}, random), 0);
}

}  // namespace
}  // namespace attention_bypass
