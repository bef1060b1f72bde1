#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace attention_bypass {

// Returns whether no number is NaN or infinite. True for integer types.
bool all_finite(const void* numbers, int64_t count, at::ScalarType type);

// Returns whether all numbers of a tensor on any device are finite.
bool all_finite(const at::Tensor& tensor);

}  // namespace attention_bypass
