#pragma once

#include <string>
#include <vector>

#include "checkpoint.h"

namespace attention_bypass {

// A tensor in a file, whatever the file's format.
struct StoredTensor {
  std::string name;
  std::string dtype;  // as safetensors spells it: F32, BF16, F16, ...
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements
  std::string file;
  uint64_t begin = 0;  // of its bytes in the file
  uint64_t end = 0;
};

// The tensors on the mapped files. Throws WEIGHTS_MISSING, WEIGHTS_TRUNCATED, TENSOR_DTYPE, TENSOR_SHAPE.
Weights map_tensors(const std::vector<StoredTensor>& tensors);

}  // namespace attention_bypass
