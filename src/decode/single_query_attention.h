#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace attention_bypass {

// Keys and values of consecutive tokens in memory: element d of head h of token t is at
// t * token_stride + h * head_stride + d.
struct KeyValueSpan {
  const void* keys;
  const void* values;
  int64_t tokens, token_stride, head_stride;
};

// Computes attention of queries (n, heads, head size), each to its own spans. Returns (n, heads, head size).
// Tensors are contiguous, on the CPU, in float32 or bfloat16. libtorch's attention needs all keys in one
// padded tensor with a mask; this function reads only the visible keys, in place, and several queries can
// read the same span.
at::Tensor single_query_attention(const at::Tensor& queries,
                                  const std::vector<std::vector<KeyValueSpan>>& seen, double scale);

}  // namespace attention_bypass
