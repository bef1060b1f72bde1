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

// Computes attention of one query of each row, (rows, heads, 1, head size), to the spans of its row. Returns
// (rows, 1, hidden size). Tensors are on the CPU, in float32 or bfloat16, with the elements of a head
// adjacent. libtorch's attention needs all keys in one padded tensor with a mask; this function reads only
// the visible keys, in place, and several queries can read the same span.
at::Tensor single_query_attention(const at::Tensor& queries,
                                  const std::vector<std::vector<KeyValueSpan>>& seen, double scale);

}  // namespace attention_bypass
