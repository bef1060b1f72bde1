#include "model/rotary.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "base/device.h"

namespace attention_bypass {

at::Tensor rotary_frequencies(int64_t size, double base) {
  const auto exponents = at::arange(0, size, 2, at::kFloat) / static_cast<double>(size);
  return at::reciprocal(at::pow(base, exponents));
}

at::Tensor rotations(const at::Tensor& positions, const at::Tensor& frequencies) {
  const auto angles = positions.unsqueeze(-1) * frequencies;
  const auto cosines = angles.cos();
  const auto sines = angles.sin();
  return at::stack({at::cat({cosines, cosines}, -1), at::cat({sines.neg(), sines}, -1)}, 1).unsqueeze(2);
}

namespace {

// Rotates one head of one token. size: the number of rotated dimensions.
inline void rotate_head(float* head, const float* cosines, const float* sines, int64_t size) {
  const int64_t half = size / 2;
#pragma omp simd
  for (int64_t index = 0; index < half; ++index) {
    const float first = head[index];
    const float second = head[index + half];
    head[index] = first * cosines[index] + second * sines[index];
    head[index + half] = second * cosines[index + half] + first * sines[index + half];
  }
}

// heads: (parts, rows, heads, length, head size).
void rotate_on_cpu(const at::Tensor& heads, const at::Tensor& rotation) {
  const auto angles = rotation.contiguous();
  const int64_t length = heads.size(3);
  const int64_t size = rotation.size(-1);
  const int64_t row_step = rotation.size(0) == 1 ? 0 : 2 * length * size;
  const auto* table = angles.const_data_ptr<float>();
  auto* data = heads.data_ptr<float>();
  const auto strides = heads.strides();
  constexpr int64_t least = 1 << 14;  // the number of elements for which another thread is worth starting
  const int64_t grain = std::max<int64_t>(1, least / (heads.size(0) * heads.size(2) * size));
  at::parallel_for(0, heads.size(1) * length, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t row = index / length;
      const int64_t token = index % length;
      const float* cosines = table + row * row_step + token * size;
      for (int64_t part = 0; part < heads.size(0); ++part) {
        for (int64_t head = 0; head < heads.size(2); ++head) {
          rotate_head(data + part * strides[0] + row * strides[1] + head * strides[2] + token * strides[3],
                      cosines, cosines + length * size, size);
        }
      }
    }
  });
}

}  // namespace

void rotate(const at::Tensor& heads, const at::Tensor& rotation) {
  if (!operators_only(heads.device()) && heads.scalar_type() == at::kFloat &&
      rotation.scalar_type() == at::kFloat) {
    return rotate_on_cpu(heads.dim() == 5 ? heads : heads.unsqueeze(0), rotation);
  }
  const int64_t size = rotation.size(-1);
  const auto part = heads.narrow(-1, 0, size);
  // Each dimension's partner in the pair that is rotated.
  const auto partners = at::roll(part, size / 2, -1);
  auto rotated = part;
  at::addcmul_out(rotated, part * rotation.select(1, 0), partners, rotation.select(1, 1));
}

}  // namespace attention_bypass
