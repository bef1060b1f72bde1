#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <vector>

#include "weights/matrix_buffers.h"
#include "weights/stored_tensor.h"

namespace attention_bypass {

// Weights that stay in their files, by module.
using OffloadedWeights = std::map<const c10::ivalue::Object*, StoredTensor>;

// The matrices of a block that stay in files. They are read and copied to the device only while the block
// computes.
class OffloadedMatrices {
 public:
  OffloadedMatrices() = default;  // for a block whose weights are in memory
  OffloadedMatrices(const std::vector<torch::jit::Module>& modules, const OffloadedWeights& offloaded,
                    std::shared_ptr<MatrixBuffers> buffers);

  // Reads the matrices. Throws what StoredTensor::read throws.
  void load() const;
  void release() const;

 private:
  std::vector<torch::jit::Module> owners_;  // of the matrices
  std::vector<StoredTensor> stored_;
  std::shared_ptr<MatrixBuffers> buffers_;  // all blocks share them; none for a block in memory
};

}  // namespace attention_bypass
