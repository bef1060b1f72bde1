#include "head_bypass.h"

namespace attention_bypass {

at::Tensor mean_values(const BlockBypass& bypass, const at::TensorOptions& options) {
  return at::tensor(bypass.mean, at::kFloat).to(options);
}

at::Tensor bypass_heads(const BlockBypass& bypass, const at::Tensor& mixed, const at::Tensor& values) {
  const int64_t size = values.size(3);
  auto result = at::clone(mixed, at::MemoryFormat::Contiguous);
  const auto by_head = result.unflatten(2, {values.size(1), size});
  const auto mean = bypass.mode == BypassMode::mean ? mean_values(bypass, mixed.options()) : at::Tensor();
  for (int64_t head = 0; head < values.size(1); ++head) {
    if (!bypass.heads[static_cast<size_t>(head)]) continue;
    auto slice = by_head.select(2, head);
    if (bypass.mode == BypassMode::zero) {
      slice.zero_();
    } else if (bypass.mode == BypassMode::short_circuit) {
      slice.copy_(values.select(1, head));
    } else {
      slice.copy_(mean.narrow(0, head * size, size));
    }
  }
  return result;
}

}  // namespace attention_bypass
