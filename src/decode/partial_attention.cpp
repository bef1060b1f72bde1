#include "decode/partial_attention.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <tuple>

namespace attention_bypass {

double hiding(at::ScalarType type) { return type == at::kHalf ? -65504 : -1e30; }

namespace {

// Whether CUDA has a kernel for these queries. Its kernels for bfloat16 need a compute capability of 8.0, of
// which libtorch's CPU library has only this sign.
bool has_kernel(const at::Tensor& queries) {
  if (!queries.is_cuda()) return false;
  switch (queries.scalar_type()) {
    case at::kFloat:
      return queries.size(3) % 4 == 0;
    case at::kHalf:
      return queries.size(3) % 8 == 0;
    case at::kBFloat16:
      return queries.size(3) % 8 == 0 && at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
    default:
      return false;
  }
}

}  // namespace

PartialAttention attend_with_products(const at::Tensor& queries, const at::Tensor& keys,
                                      const at::Tensor& values, const at::Tensor& mask, double scale) {
  const auto products = at::matmul(queries, keys.transpose(2, 3)).to(at::kFloat) * scale + mask;
  const auto log_sum_exp = products.logsumexp(3);
  const auto weights = (products - log_sum_exp.unsqueeze(3)).exp_().to(values.scalar_type());
  return {at::matmul(weights, values).transpose(1, 2), log_sum_exp.transpose(1, 2)};
}

PartialAttention attend_partially(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const at::Tensor& mask, double scale) {
  at::Tensor mixed;
  at::Tensor log_sum_exp;
  if (queries.device().is_cpu()) {
    std::tie(mixed, log_sum_exp) =
        at::_scaled_dot_product_flash_attention_for_cpu(queries, keys, values, 0, false, mask, scale);
  } else if (has_kernel(queries)) {
    const auto of_heads = mask.expand({queries.size(0), queries.size(1), queries.size(2), keys.size(2)});
    std::tie(mixed, log_sum_exp, std::ignore, std::ignore) = at::_scaled_dot_product_efficient_attention(
        queries, keys, values, of_heads, /*compute_log_sumexp=*/true, 0, false, scale);
    // The kernel pads the queries.
    log_sum_exp = log_sum_exp.narrow(2, 0, queries.size(2));
  } else {
    return attend_with_products(queries, keys, values, mask, scale);
  }
  return {mixed.transpose(1, 2), log_sum_exp.transpose(1, 2)};
}

at::Tensor joined(const PartialAttention& left, const PartialAttention& right) {
  const auto weight = (right.log_sum_exp - left.log_sum_exp).sigmoid_().unsqueeze(-1);
  return at::lerp(left.mixed, right.mixed, weight.to(left.mixed.scalar_type()));
}

}  // namespace attention_bypass
