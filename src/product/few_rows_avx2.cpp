#if defined(__x86_64__)

#include <immintrin.h>

#include "product/few_rows_kernel.h"

namespace attention_bypass {

namespace {

struct Avx2 {
  using Register = __m256;
  static constexpr int64_t width = 8;
  static constexpr int outputs = 3;

  static Register zero() { return _mm256_setzero_ps(); }
  static Register load(const float* from) { return _mm256_loadu_ps(from); }
  static Register load(const FewRows::BFloat16* from) {
    // bfloat16 is the upper half of a float32.
    const auto bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
  }
  static Register load(const FewRows::Float16* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Register add_product(Register left, Register right, Register sum) {
    return _mm256_fmadd_ps(left, right, sum);
  }
  static Register add(Register left, Register right) { return _mm256_add_ps(left, right); }
  static float sum(Register values) {
    const auto halves = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const auto pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)));
  }
  static float number(float value) { return value; }
  static float number(FewRows::BFloat16 value) {
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(value.bits) << 16)));
  }
  static float number(FewRows::Float16 value) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(value.bits)));
  }
};

}  // namespace

void few_rows_avx2(const FewRows& product, int64_t begin, int64_t end) { columns<Avx2>(product, begin, end); }

}  // namespace attention_bypass

#endif
