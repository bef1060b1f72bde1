#pragma once

#include <ATen/ATen.h>

namespace attention_bypass {

// Returns the product of an input (..., inputs) with the transposed weight (outputs, inputs), plus the bias
// (outputs) if it is defined: (..., outputs) in the dtype of the input. A weight in half precision is widened
// exactly if the input is float32. On the CPU, products of few rows run at the speed of reading the weight.
at::Tensor product(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias = {});

// Returns the dtype in which a model of this dtype computes on a device: float32 for half precision on
// processors without instructions for it, on which products in half precision are slower than in float32.
at::ScalarType arithmetic_type(at::Device device, at::ScalarType dtype);

// Returns whether libtorch has its kernel for small matrix products, brgemm, for a dtype on this processor.
bool has_small_products(at::ScalarType type);

// Returns the name of the instruction set of products of few rows: "AVX-512", "AVX2", or "" if libtorch
// computes them.
const char* few_rows_instructions();

}  // namespace attention_bypass
