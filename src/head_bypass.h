#pragma once

#include <ATen/ATen.h>

#include "bypass.h"

namespace attention_bypass {

// The mixed values that a block's bypass of the whole attention stands for, (hidden size). Mode mean.
at::Tensor mean_values(const BlockBypass& bypass, const at::TensorOptions& options);

// Mixed values (rows, queries, hidden size) with those of the bypassed heads replaced. values: the queries'
// own, (rows, heads, queries, head size).
at::Tensor bypass_heads(const BlockBypass& bypass, const at::Tensor& mixed, const at::Tensor& values);

}  // namespace attention_bypass
