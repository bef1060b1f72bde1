#pragma once

#include <torch/script.h>

#include <vector>

namespace attention_bypass {

// The matrices of a block in half precision, for a processor that computes in float32. While the block
// computes with many tokens, its modules hold float32 copies, so that each matrix is widened once and not for
// each of its products.
class WidenedMatrices {
 public:
  WidenedMatrices() = default;  // for a block that computes in the dtype of its weights
  explicit WidenedMatrices(const std::vector<torch::jit::Module>& modules);

  // Replaces the matrices by float32 copies, or none if memory is missing. Returns the matrices in half
  // precision.
  std::vector<at::Tensor> widen() const;
  // Puts matrices that widen() returned back.
  void restore(const std::vector<at::Tensor>& narrow) const;

 private:
  std::vector<torch::jit::Module> owners_;  // of the matrices
};

}  // namespace attention_bypass
