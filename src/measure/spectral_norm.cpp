#include "measure/spectral_norm.h"

#include <cmath>

namespace attention_bypass {

namespace {

constexpr int steps_at_once = 30;
constexpr double first_margin = 1e-3;
// A margin for the float64 error of the squared norm of a product, relative to the squared norms of its
// factors.
constexpr double eigenvalue_margin = 1e-12;

at::Tensor gram(const at::Tensor& matrix) {
  return matrix.size(-2) < matrix.size(-1) ? matrix.matmul(matrix.mT()) : matrix.mT().matmul(matrix);
}

bool positive_definite(const at::Tensor& matrix) {
  return std::get<1>(at::linalg_cholesky_ex(matrix)).item<int64_t>() == 0;
}

}  // namespace

double spectral_norm(const at::Tensor& matrix) {
  const auto symmetric = gram(matrix);
  const auto identity = at::eye(symmetric.size(0), symmetric.options());
  // The trace is an upper bound: it is the sum of the eigenvalues, which are at least 0.
  const double trace = symmetric.trace().item<double>();
  if (trace == 0) return 0;
  // The start must not be orthogonal to the first eigenvector; a constant vector can be for structured
  // matrices.
  auto vector = at::cos(at::arange(symmetric.size(0), symmetric.options()) + 1);
  for (double margin = first_margin;; margin *= 2) {
    for (int step = 0; step < steps_at_once; ++step) {
      const auto next = symmetric.mv(vector);
      const auto length = next.norm();
      if (length.item<double>() == 0) break;
      vector = next / length;
    }
    const double estimate =
        vector.dot(symmetric.mv(vector)).item<double>() / vector.dot(vector).item<double>();
    const double shift = estimate * (1 + margin);
    if (!(shift < trace)) return std::sqrt(trace);
    if (positive_definite(shift * identity - symmetric)) return std::sqrt(shift);
  }
}

at::Tensor product_spectral_norms(const at::Tensor& left, const at::Tensor& right) {
  const auto [values, vectors] = at::linalg_eigh(left.mT().matmul(left));
  // |left right| = |root right|, root being the square root of left's Gram matrix.
  const auto scaled = vectors * values.clamp_min(0).sqrt().unsqueeze(-2);
  const auto of_right = right.matmul(right.mT());
  const auto squares = at::linalg_eigvalsh(scaled.mT().matmul(of_right).matmul(scaled)).amax(-1);
  const auto margin = eigenvalue_margin * values.amax(-1) * at::linalg_eigvalsh(of_right).amax(-1);
  return (squares + margin).clamp_min(0).sqrt();
}

}  // namespace attention_bypass
