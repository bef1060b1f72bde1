#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace attention_bypass {

// Keys and values in memory of one token after the other: element d of head h at token t is at
// t * token_stride + h * head_stride + d.
struct KeyValueSpan {
  const void* keys;
  const void* values;
  int64_t tokens, token_stride, head_stride;
};

// The attention of queries (n, heads, head size), each on spans of its own, mixed into (n, heads, head size).
// Contiguous, on the CPU, in float32 or bfloat16. libtorch's attention takes its keys from one tensor with a
// mask; here queries of many lengths read just what they see, where it is, and share what they share.
at::Tensor single_query_attention(const at::Tensor& queries,
                                  const std::vector<std::vector<KeyValueSpan>>& seen, double scale);

}  // namespace attention_bypass
