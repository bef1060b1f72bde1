#if defined(__x86_64__)

#include <immintrin.h>

#include "product/few_rows_kernel.h"

namespace attention_bypass {

namespace {

struct Avx512 {
  using Register = __m512;
  static constexpr int64_t width = 16;
  static constexpr int outputs = 4;

  static Register zero() { return _mm512_setzero_ps(); }
  static Register load(const float* from) { return _mm512_loadu_ps(from); }
  static Register load(const FewRows::BFloat16* from) {
    // bfloat16 is the upper half of a float32.
    const auto bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
  }
  static Register load(const FewRows::Float16* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Register add_product(Register left, Register right, Register sum) {
    return _mm512_fmadd_ps(left, right, sum);
  }
  static Register add(Register left, Register right) { return _mm512_add_ps(left, right); }
  static float sum(Register values) { return _mm512_reduce_add_ps(values); }
  static float number(float value) { return value; }
  static float number(FewRows::BFloat16 value) {
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(value.bits) << 16)));
  }
  static float number(FewRows::Float16 value) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(value.bits)));
  }
};

}  // namespace

void few_rows_avx512(const FewRows& product, int64_t begin, int64_t end) {
  columns<Avx512>(product, begin, end);
}

}  // namespace attention_bypass

#endif
