#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace attention_bypass {

// Whether no number is NaN or infinite. Of floating-point types; others always are finite.
bool all_finite(const void* numbers, int64_t count, at::ScalarType type);

// The same of a tensor on whatever device.
bool all_finite(const at::Tensor& tensor);

}  // namespace attention_bypass
