#pragma once

#include <ATen/ATen.h>

namespace attention_bypass {

// Tight upper bounds of spectral norms (largest singular values) in float64. They are never below the norms,
// except for float64 rounding.

// Returns an upper bound for a matrix (m, n), float64. Power iteration estimates the largest eigenvalue of
// the smaller Gram matrix. A Cholesky factorization of shift * 1 - Gram, if it exists, proves that the shift
// is above that eigenvalue.
double spectral_norm(const at::Tensor& matrix);

// Returns upper bounds for the products left[i] right[i], (count). left: (count, m, k), right: (count, k, n),
// with k much smaller than m and n. Computed from the eigenvalues of matrices (k, k).
at::Tensor product_spectral_norms(const at::Tensor& left, const at::Tensor& right);

}  // namespace attention_bypass
