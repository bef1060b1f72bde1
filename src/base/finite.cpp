#include "base/finite.h"

#include <cmath>

#include "base/vectorized.h"

namespace attention_bypass {

namespace {

// A number is NaN or infinite if all bits of its exponent are set.
template <typename Bits>
ATTENTION_BYPASS_INLINE bool without_full_exponent(const Bits* numbers, int64_t count, Bits exponent) {
  Bits found = 0;
#pragma omp simd reduction(| : found)
  for (int64_t index = 0; index < count; ++index) {
    found |= static_cast<Bits>((numbers[index] & exponent) == exponent);
  }
  return found == 0;
}

ATTENTION_BYPASS_VECTORIZED
bool finite_16(const uint16_t* numbers, int64_t count, uint16_t exponent) {
  return without_full_exponent<uint16_t>(numbers, count, exponent);
}

ATTENTION_BYPASS_VECTORIZED
bool finite_32(const uint32_t* numbers, int64_t count) {
  return without_full_exponent<uint32_t>(numbers, count, 0x7F800000U);
}

ATTENTION_BYPASS_VECTORIZED
bool finite_64(const uint64_t* numbers, int64_t count) {
  return without_full_exponent<uint64_t>(numbers, count, 0x7FF0000000000000U);
}

}  // namespace

bool all_finite(const void* numbers, int64_t count, at::ScalarType type) {
  switch (type) {
    case at::kHalf:
      return finite_16(static_cast<const uint16_t*>(numbers), count, 0x7C00U);
    case at::kBFloat16:
      return finite_16(static_cast<const uint16_t*>(numbers), count, 0x7F80U);
    case at::kFloat:
      return finite_32(static_cast<const uint32_t*>(numbers), count);
    case at::kDouble:
      return finite_64(static_cast<const uint64_t*>(numbers), count);
    default:
      return true;
  }
}

bool all_finite(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return true;
  // aminmax propagates NaN, so one pass is enough.
  const auto [least, greatest] = at::aminmax(tensor);
  return std::isfinite(least.item<double>()) && std::isfinite(greatest.item<double>());
}

}  // namespace attention_bypass
