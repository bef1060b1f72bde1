#pragma once

#include <cstdint>
#include <cstring>

// For functions of plain loops, which the compiler turns into vector instructions: one version for each
// generation of processors, of which the best that runs is taken at the start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(ATTENTION_BYPASS_ONE_VERSION)
#define ATTENTION_BYPASS_VECTORIZED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ATTENTION_BYPASS_VECTORIZED
#endif

// To become a part of each of those versions.
#define ATTENTION_BYPASS_INLINE inline __attribute__((always_inline))

namespace attention_bypass {

// exp(x) for x <= 0, within 2 units in the last place; 0 below the least normal number. By reduction to
// 2^n exp(r), |r| <= ln(2) / 2, and the Taylor polynomial of degree 7, whose remainder there is below 1e-8.
ATTENTION_BYPASS_INLINE float exp_of_negative(float x) {
  const float bounded = x < -87.0F ? -87.0F : x;
  const float n = __builtin_rintf(bounded * 1.44269504F);
  // ln(2) in two parts, the first of which n multiplies without rounding.
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

// The number that the upper half of a float32 is.
ATTENTION_BYPASS_INLINE float float_of_bfloat16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

}  // namespace attention_bypass
