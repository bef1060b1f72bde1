#pragma once

#include <torch/script.h>

#include <vector>

namespace attention_bypass {

// Gives the memory of a tensor in a mapped file back to the system, which reads it from the file again when
// it is next needed. Nothing may have written to it.
void release_pages(const at::Tensor& mapped);

// The matrices of a block's modules that stay in mapped files, and are brought to where they are needed while
// the block works.
class OffloadedMatrices {
 public:
  OffloadedMatrices() = default;  // of a block whose weights always are where they are needed
  OffloadedMatrices(const std::vector<torch::jit::Module>& modules, const at::TensorOptions& options);

  void bring() const;
  void release() const;

 private:
  struct Matrix {
    torch::jit::Module owner;
    at::Tensor stored;
  };
  std::vector<Matrix> matrices_;
  at::TensorOptions options_;
};

}  // namespace attention_bypass
