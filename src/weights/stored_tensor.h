#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weights/weight_file.h"

namespace attention_bypass {

// A tensor in a file of any format. Its bytes are read only by the read functions.
struct StoredTensor {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements
  std::shared_ptr<const WeightFile> file;
  uint64_t begin = 0;  // byte range in the file
  uint64_t end = 0;
  bool allow_non_finite = false;

  // Throws TENSOR_SHAPE if shape, strides and byte range do not match.
  void validate() const;

  // Returns the whole tensor, contiguous, on the CPU. Throws what WeightFile::read throws, WEIGHTS_CHANGED,
  // and NOT_FINITE if numbers are NaN or infinite, in the file or after the conversion to this dtype.
  at::Tensor read(at::ScalarType as) const;
  // Reads into a contiguous tensor of the same shape. Its dtype is the one to convert to.
  void read_into(at::Tensor& destination) const;
  // Returns rows begin to begin + count.
  at::Tensor read_rows(int64_t begin, int64_t count, at::ScalarType as) const;
  // Returns the rows with these indices.
  at::Tensor read_rows(const std::vector<int64_t>& rows, at::ScalarType as) const;

 private:
  int64_t elements() const;
  bool contiguous() const;
  int64_t row_elements() const;
  void read_elements(uint64_t first, int64_t count, at::ScalarType as, void* to) const;
  // stored: numbers in the file's dtype. converted: the same numbers in the dtype `as`.
  void require_finite(const void* stored, const void* converted, int64_t count, at::ScalarType as) const;
};

// dtype: the name in safetensors: F32, BF16, F16, ... tensor: the name for the error. Throws TENSOR_DTYPE.
at::ScalarType scalar_type(const std::string& dtype, const std::string& tensor);

using StoredTensors = std::map<std::string, StoredTensor>;

}  // namespace attention_bypass
