#pragma once

#include <cstdint>
#include <cstring>

// Marks a function with plain loops that the compiler vectorizes. The compiler makes one version for each
// level of x86-64, and the best version that the processor supports is selected when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(ATTENTION_BYPASS_ONE_VERSION)
#define ATTENTION_BYPASS_VECTORIZED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ATTENTION_BYPASS_VECTORIZED
#endif

// Marks a function that is inlined into each of those versions.
#define ATTENTION_BYPASS_INLINE inline __attribute__((always_inline))

namespace attention_bypass {

// Returns exp(x) for x <= 0, within 2 units in the last place, and 0 for results below the smallest normal
// number. Computes 2^n exp(r) with |r| <= ln(2) / 2 and the Taylor polynomial of degree 7, whose error is
// below 1e-8 for these r.
ATTENTION_BYPASS_INLINE float exp_of_negative(float x) {
  const float bounded = x < -87.0F ? -87.0F : x;
  const float n = __builtin_rintf(bounded * 1.44269504F);
  // ln(2) is split into two parts; the product of n and the first part is exact.
  const float r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return x < -87.0F ? 0.0F : p * power;
}

// Converts bfloat16, which is the upper half of a float32.
ATTENTION_BYPASS_INLINE float float_of_bfloat16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

}  // namespace attention_bypass
