#pragma once

#include <ATen/ATen.h>

namespace attention_bypass {

// Upper bounds of spectral norms, the largest singular values, in float64. They are above the norms by at
// most a little, and never below, but for the rounding of float64.

// Of a matrix (m, n), float64. Power iteration finds about the largest eigenvalue of the smaller of its Gram
// matrices; that a Cholesky factorization of shift * 1 - Gram exists shows that the shift is above it.
double spectral_norm(const at::Tensor& matrix);

// Of each product left[i] right[i] of matrices (count, m, k) and (count, k, n) with k much less than m and n,
// (count). From the eigenvalues of a matrix (k, k).
at::Tensor product_spectral_norms(const at::Tensor& left, const at::Tensor& right);

}  // namespace attention_bypass
