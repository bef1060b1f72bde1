#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace attention_bypass {

// The attention of queries to some of their keys.
struct PartialAttention {
  at::Tensor mixed;        // (..., head size)
  at::Tensor log_sum_exp;  // (...), of the products of queries and keys; float32
};

// The number of elements, of which a multiple lies between the rows of a mask: kernels of GPUs need them
// aligned.
constexpr int64_t mask_alignment = 16;
// Returns the least multiple of mask_alignment that is not less than this number.
constexpr int64_t aligned(int64_t count) {
  return (count + mask_alignment - 1) / mask_alignment * mask_alignment;
}

// A number that hides a key when it is added to the product with a query, in this dtype. Finite, so that a
// query that sees none of the keys gets some finite result, which joined() gives no weight.
double hiding(at::ScalarType type);

// queries: (rows, heads, queries, head size). keys, values: (rows, heads, keys, head size). mask: added to
// the products, (rows, 1, queries, keys), in the dtype of the queries; the rows of its memory are aligned to
// mask_alignment. Returns (rows, queries, heads, head size) and (rows, queries, heads).
PartialAttention attend_partially(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const at::Tensor& mask, double scale);

// The same with matrix products, for what no kernel supports.
PartialAttention attend_with_products(const at::Tensor& queries, const at::Tensor& keys,
                                      const at::Tensor& values, const at::Tensor& mask, double scale);

// Returns the attention to the keys of both parts, in the dtype of the parts: their mean, weighted with the
// softmax of the log-sum-exps.
at::Tensor joined(const PartialAttention& left, const PartialAttention& right);

}  // namespace attention_bypass
