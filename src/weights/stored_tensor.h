#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weights/weight_file.h"

namespace attention_bypass {

// A tensor in a file, whatever the file's format: nothing is read before it is asked for.
struct StoredTensor {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements
  std::shared_ptr<const WeightFile> file;
  uint64_t begin = 0;  // of its bytes in the file
  uint64_t end = 0;
  bool allow_non_finite = false;

  // Throws TENSOR_SHAPE unless shape, strides and range belong together.
  void validate() const;

  // The whole tensor, contiguous, on the CPU. Throws what reading throws, WEIGHTS_CHANGED, and NOT_FINITE for
  // numbers that are NaN or infinite, or that become so in this dtype.
  at::Tensor read(at::ScalarType as) const;
  // The same into a tensor of its shape and of the dtype that is wanted.
  void read_into(at::Tensor& destination) const;
  // Rows begin to begin + count of a contiguous tensor.
  at::Tensor read_rows(int64_t begin, int64_t count, at::ScalarType as) const;
  // Rows by their numbers.
  at::Tensor read_rows(const std::vector<int64_t>& rows, at::ScalarType as) const;

 private:
  int64_t elements() const;
  bool contiguous() const;
  int64_t row_elements() const;
  void read_elements(uint64_t first, int64_t count, at::ScalarType as, void* to) const;
  // stored: in the file's dtype; converted: what was made of it.
  void require_finite(const void* stored, const void* converted, int64_t count, at::ScalarType as) const;
};

// As safetensors spells it: F32, BF16, F16, ... Throws TENSOR_DTYPE.
at::ScalarType scalar_type(const std::string& dtype, const std::string& tensor);

using StoredTensors = std::map<std::string, StoredTensor>;

}  // namespace attention_bypass
