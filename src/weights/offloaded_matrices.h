#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <vector>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// Weights that stay in their files, by module.
using OffloadedWeights = std::map<const c10::ivalue::Object*, StoredTensor>;

// Memory for the matrices of one block. All blocks share it.
using MatrixBuffers = std::vector<at::Tensor>;

// The matrices of a block that stay in files. They are read and copied to the device only while the block
// computes.
class OffloadedMatrices {
 public:
  OffloadedMatrices() = default;  // for a block whose weights are in memory
  OffloadedMatrices(const std::vector<torch::jit::Module>& modules, const OffloadedWeights& offloaded,
                    const at::TensorOptions& options, std::shared_ptr<MatrixBuffers> buffers);

  // Reads the matrices. Throws what StoredTensor::read throws.
  void load() const;
  void release() const;

 private:
  struct Matrix {
    torch::jit::Module owner;
    StoredTensor stored;
  };
  std::vector<Matrix> matrices_;
  at::TensorOptions options_;
  std::shared_ptr<MatrixBuffers> buffers_;
};

}  // namespace attention_bypass
