#pragma once

#include <ATen/ATen.h>

namespace attention_bypass {

// Rotary position embeddings on the first `size` dimensions of each head, as in GPT-NeoX: dimension i and
// dimension i + size / 2 are rotated by the position times frequency i.

// Returns the frequencies, (size / 2) in float32: 1 / base^(2i / size).
at::Tensor rotary_frequencies(int64_t size, double base);
// Returns the cosines, and the sines with the sign that their products get, of each dimension:
// (rows, 2, 1, length, size). positions: (rows, length).
at::Tensor rotations(const at::Tensor& positions, const at::Tensor& frequencies);
// Rotates queries or keys in place: (rows, heads, length, head size), or several of these. The dimensions of
// a head are adjacent in memory. The arithmetic has the dtype of `rotation`.
void rotate(const at::Tensor& heads, const at::Tensor& rotation);

}  // namespace attention_bypass
