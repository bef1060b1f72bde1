#include "model/bypassed_weights.h"

#include "base/error.h"
#include "base/finite.h"

namespace attention_bypass {

namespace {

// Returns which inputs of the output projection are those of bypassed heads, (hidden size).
at::Tensor bypassed_inputs(const AttentionBypass& bypass, int64_t hidden_size) {
  if (bypass.heads.empty()) return at::ones({hidden_size}, at::kBool);
  const auto head_count = std::ssize(bypass.heads);
  auto inputs = at::zeros({head_count, hidden_size / head_count}, at::kBool);
  for (int64_t head = 0; head < head_count; ++head)
    inputs[head].fill_(bypass.heads[static_cast<size_t>(head)]);
  return inputs.flatten();
}

// Returns the bias in the dtype of the weights.
at::Tensor rounded(const at::Tensor& bias, at::ScalarType type) {
  auto result = bias.to(type);
  if (all_finite(bias) && !all_finite(result)) {
    throw Error("NOT_FINITE",
                "expected mean outputs that fit the dtype of the weights but some overflow; convert to "
                "bfloat16 or float32");
  }
  return result;
}

template <typename Bypass>
void replace(const Linear& layer, const Bypass& bypass) {
  const auto weight = layer.weight();
  const auto& bias = layer.bias();
  const auto bypassed = bypassed_weights({weight, bias}, bypass);
  if (bypassed.weight.is_same(weight)) return;
  weight.copy_(bypassed.weight);
  if (bias.defined()) bias.copy_(bypassed.bias);
}

}  // namespace

LayerWeights bypassed_weights(const LayerWeights& of, const AttentionBypass& bypass) {
  if (bypass.mode != BypassMode::zero && bypass.mode != BypassMode::mean) return of;
  const auto inputs = bypassed_inputs(bypass, of.weight.size(1));
  LayerWeights result{of.weight.masked_fill(inputs, 0), of.bias};
  if (bypass.mode == BypassMode::mean) {
    TORCH_INTERNAL_ASSERT(of.bias.defined(), "expected a bias for mean outputs");
    const auto mean = at::tensor(bypass.mean, at::kFloat).masked_fill(inputs.logical_not(), 0);
    result.bias = rounded(of.bias.to(at::kFloat) + of.weight.to(at::kFloat).mv(mean), of.bias.scalar_type());
  } else if (bypass.heads.empty() && of.bias.defined()) {
    result.bias = at::zeros_like(of.bias);
  }
  return result;
}

LayerWeights bypassed_weights(const LayerWeights& of, const MlpBypass& bypass) {
  if (bypass.mode == BypassMode::none) return of;
  const auto bias = bypass.mode == BypassMode::mean
                        ? rounded(at::tensor(bypass.mean, at::kFloat), of.bias.scalar_type())
                        : at::zeros_like(of.bias);
  return {at::zeros_like(of.weight), bias};
}

void write_bypass(const Architecture& architecture, const BypassPlan& plan) {
  const c10::InferenceMode inference;
  for (size_t block = 0; block < plan.size(); ++block) {
    replace(architecture.blocks[block].attention.output, plan[block].attention);
    replace(architecture.blocks[block].mlp.down(), plan[block].mlp);
  }
}

}  // namespace attention_bypass
