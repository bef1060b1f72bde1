#include "base/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/vectorized.h"

namespace attention_bypass {
namespace {

// Vector instructions take several numbers at once and the rest one by one, so every place of every length
// counts.
template <typename Number>
void find_at_every_place(at::ScalarType type) {
  using Limits = std::numeric_limits<Number>;
  const Number not_finite[] = {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()};
  for (size_t length = 0; length < 70; ++length) {
    std::vector<Number> numbers(length, Limits::max());
    const auto finite = [&] { return all_finite(numbers.data(), static_cast<int64_t>(length), type); };
    ASSERT_TRUE(finite()) << length;
    for (size_t place = 0; place < length; ++place) {
      for (const auto number : not_finite) {
        numbers[place] = number;
        ASSERT_FALSE(finite()) << number << " at " << place << " of " << length;
      }
      numbers[place] = place % 2 == 0 ? Limits::lowest() : Limits::denorm_min();
    }
  }
}

TEST(AllFinite, FindsWhatIsNotFiniteAtEveryPlace) {
  find_at_every_place<float>(at::kFloat);
  find_at_every_place<double>(at::kDouble);
  find_at_every_place<at::Half>(at::kHalf);
  find_at_every_place<at::BFloat16>(at::kBFloat16);
}

TEST(AllFinite, TakesEveryIntegerForFinite) {
  const std::vector<int64_t> numbers(9, -1);  // all bits set, as in a NaN
  for (const auto type : {at::kLong, at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
    EXPECT_TRUE(all_finite(numbers.data(), 9, type));
  }
}

TEST(AllFinite, ChecksTensors) {
  EXPECT_TRUE(all_finite(at::empty({0}, at::kFloat)));
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    auto tensor = at::ones({3, 5}, type);
    EXPECT_TRUE(all_finite(tensor));
    for (const double number : {NAN, INFINITY, -INFINITY}) {
      tensor.index_put_({at::tensor(2), at::tensor(1)}, at::tensor(number).to(type));
      EXPECT_FALSE(all_finite(tensor)) << number;
    }
  }
}

TEST(ExpOfNegative, IsWithinTwoUnitsInTheLastPlace) {
  for (double x = 0; x >= -87; x -= 0.0009765625) {
    const double expected = std::exp(x);
    const float lower = static_cast<float>(expected);
    const double unit = std::nextafter(lower, 2.0F) - lower;
    ASSERT_NEAR(exp_of_negative(static_cast<float>(x)), expected, 2 * unit) << x;
  }
  EXPECT_EQ(exp_of_negative(0), 1);
}

TEST(ExpOfNegative, IsZeroFarBelow) {
  for (const float x : {-87.5F, -1e3F, -1e30F, -INFINITY}) EXPECT_EQ(exp_of_negative(x), 0) << x;
}

TEST(FloatOfBfloat16, ReadsTheUpperHalf) {
  for (const float number : {0.0F, 1.0F, -2.5F, 1.5e30F}) {
    const at::BFloat16 half(number);
    EXPECT_EQ(float_of_bfloat16(half.x), static_cast<float>(half));
  }
}

}  // namespace
}  // namespace attention_bypass
