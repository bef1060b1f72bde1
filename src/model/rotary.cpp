#include "model/rotary.h"

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

void rotate(const at::Tensor& heads, const at::Tensor& rotation) {
  const int64_t size = rotation.size(-1);
  const auto part = heads.narrow(-1, 0, size);
  // Each dimension's partner in the pair that is rotated.
  const auto partners = at::roll(part, size / 2, -1);
  part.copy_(at::addcmul(part * rotation.select(1, 0), partners, rotation.select(1, 1)));
}

}  // namespace attention_bypass
