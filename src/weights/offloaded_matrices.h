#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <vector>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// The weights that stay in their files, by the modules that they belong to.
using OffloadedWeights = std::map<const c10::ivalue::Object*, StoredTensor>;

// Memory that blocks read their matrices into, one block after the other.
using MatrixBuffers = std::vector<at::Tensor>;

// The matrices of a block's modules that stay in files, and are read and copied to the device while the block
// works.
class OffloadedMatrices {
 public:
  OffloadedMatrices() = default;  // of a block whose weights are in memory
  OffloadedMatrices(const std::vector<torch::jit::Module>& modules, const OffloadedWeights& offloaded,
                    const at::TensorOptions& options, std::shared_ptr<MatrixBuffers> buffers);

  // Throws what reading a stored tensor throws.
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
