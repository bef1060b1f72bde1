#include "product/product.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "product/few_rows.h"

namespace attention_bypass {
namespace {

// The product in float64, by loops.
at::Tensor expected_product(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  const auto left = input.to(at::kDouble);
  const auto right = weight.to(at::kDouble);
  auto result = at::zeros({input.size(0), weight.size(0)}, at::kDouble);
  const auto x = left.accessor<double, 2>();
  const auto w = right.accessor<double, 2>();
  auto y = result.accessor<double, 2>();
  for (int64_t row = 0; row < input.size(0); ++row) {
    for (int64_t output = 0; output < weight.size(0); ++output) {
      double sum = bias.defined() ? bias[output].item<double>() : 0;
      for (int64_t index = 0; index < weight.size(1); ++index) sum += x[row][index] * w[output][index];
      y[row][output] = sum;
    }
  }
  return result;
}

// Rounding errors of sums of products of numbers around 1, and of the result's dtype.
double rounding_limit(int64_t inputs, at::ScalarType type) {
  const double unit = type == at::kBFloat16 ? 1.0 / 256 : type == at::kHalf ? 1.0 / 2048 : 1.0 / (1 << 24);
  return std::sqrt(static_cast<double>(inputs)) * (6 * unit + 1e-6);
}

void expect_near(const at::Tensor& actual, const at::Tensor& expected, double limit) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_LE((actual.to(at::kDouble) - expected).abs().max().item<double>(), limit);
}

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16, at::kHalf};

// Sizes that fill no register and no tile, and those that do.
TEST(Product, OfAnyNumberOfRowsIsThatOfLoops) {
  at::manual_seed(11);
  for (const auto input_type : types) {
    for (const auto weight_type : types) {
      // Widened weights only: a product of half precision with float32 weights does not occur.
      if (input_type != at::kFloat && input_type != weight_type) continue;
      for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 20}) {
        for (const int64_t inputs : {1, 7, 16, 33, 64}) {
          for (const int64_t outputs : {1, 5, 17, 130}) {
            SCOPED_TRACE(testing::Message() << input_type << " " << weight_type << " " << rows << " x "
                                            << inputs << " x " << outputs);
            const auto input = at::randn({rows, inputs}).to(input_type);
            const auto weight = at::randn({outputs, inputs}).to(weight_type);
            const auto bias = at::randn({outputs}).to(weight_type);
            const double limit = rounding_limit(inputs, input_type);
            expect_near(product(input, weight), expected_product(input, weight, {}), limit);
            expect_near(product(input, weight, bias), expected_product(input, weight, bias), limit);
          }
        }
      }
    }
  }
}

TEST(Product, KeepsTheShapeAndDtypeOfTheInput) {
  for (const auto type : types) {
    const auto weight = at::randn({6, 4}).to(type);
    for (const int64_t rows : {1, 30}) {
      const auto result = product(at::randn({rows, 2, 4}).to(type), weight);
      EXPECT_EQ(result.sizes(), (std::vector<int64_t>{rows, 2, 6}));
      EXPECT_EQ(result.scalar_type(), type);
    }
    EXPECT_EQ(product(at::randn({1, 4}), weight).scalar_type(), at::kFloat);
  }
}

// A transposed weight has no contiguous rows.
TEST(Product, TakesTransposedWeightsAndInputs) {
  at::manual_seed(12);
  const auto input = at::randn({16, 3}).t();
  const auto weight = at::randn({16, 40}).t();
  expect_near(product(input, weight), expected_product(input, weight, {}), rounding_limit(16, at::kFloat));
}

// More weights than are widened at a time, and a last part that is smaller.
TEST(Product, WidensLargeWeights) {
  at::manual_seed(13);
  const auto input = at::randn({12, 1024});
  const auto weight = at::randn({1100, 1024}).to(at::kBFloat16);
  const auto bias = at::randn({1100}).to(at::kBFloat16);
  expect_near(product(input, weight, bias), expected_product(input, weight, bias),
              rounding_limit(1024, at::kFloat));
}

TEST(Product, IsTheSameOnAnyNumberOfThreads) {
  at::manual_seed(14);
  const auto input = at::randn({3, 64});
  const auto weight = at::randn({1000, 64});
  const auto expected = product(input, weight);
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(product(input, weight), expected)) << threads;
  }
  at::set_num_threads(before);
}

TEST(Product, OfARowDependsOnTheOthersOnlyByRounding) {
  at::manual_seed(15);
  const auto input = at::randn({8, 100});
  const auto weight = at::randn({50, 100});
  const auto together = product(input, weight);
  for (int64_t row = 0; row < 8; ++row) {
    SCOPED_TRACE(row);
    expect_near(product(input.narrow(0, row, 1), weight), together.narrow(0, row, 1).to(at::kDouble),
                rounding_limit(100, at::kFloat));
  }
}

#if defined(__x86_64__)
// The kernel of another instruction set than the one that product() uses.
TEST(Product, HasKernelsThatAgree) {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl")) {
    GTEST_SKIP() << "the processor has no AVX-512";
  }
  at::manual_seed(16);
  for (const auto type : types) {
    const auto input = at::randn({7, 53});
    const auto weight = at::randn({31, 53}).to(type);
    const auto kind = type == at::kFloat      ? FewRows::Type::float32
                      : type == at::kBFloat16 ? FewRows::Type::bfloat16
                                              : FewRows::Type::float16;
    for (const auto run : {few_rows_avx2, few_rows_avx512}) {
      auto result = at::empty({7, 31});
      run({input.const_data_ptr<float>(), weight.const_data_ptr(), kind, nullptr, result.data_ptr<float>(), 7,
           53, 31},
          0, 31);
      expect_near(result, expected_product(input, weight, {}), rounding_limit(53, at::kFloat));
    }
  }
}
#endif

TEST(ArithmeticType, IsNarrowOnlyWhereTheProcessorIsFastInIt) {
  EXPECT_EQ(arithmetic_type(at::kCPU, at::kFloat), at::kFloat);
  EXPECT_EQ(arithmetic_type(at::kCPU, at::kDouble), at::kDouble);
  EXPECT_EQ(arithmetic_type(at::kCUDA, at::kHalf), at::kHalf);
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    EXPECT_EQ(arithmetic_type(at::kCPU, type), has_small_products(type) ? type : at::kFloat);
  }
}

}  // namespace
}  // namespace attention_bypass
