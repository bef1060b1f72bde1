#include "forward/not_finite.h"

#include <optional>

#include "base/error.h"
#include "base/finite.h"
#include "forward/forward_pass.h"

namespace attention_bypass {

namespace {

std::string dtype_name(at::ScalarType type) {
  if (type == at::kHalf) return "float16";
  if (type == at::kBFloat16) return "bfloat16";
  return type == at::kDouble ? "float64" : "float32";
}

// Only float16 has a smaller range than the weights of checkpoints.
std::string advice(at::ScalarType type) {
  if (type == at::kHalf) return "load the model with the dtype \"bfloat16\" or \"float32\"";
  return "no dtype has a larger range; check the checkpoint's weights and the means of the bypass";
}

}  // namespace

void throw_not_finite(const Model& model, const TokenRow& tokens, const BypassPlan& plan,
                      const std::string& call, Control& control) {
  std::optional<int64_t> first;
  const Plans plans(model, {plan});
  const PassRows rows({tokens}, model.device());
  ForwardPass(model, plans, rows, nullptr, [&first](const ForwardPass::Observation& seen) {
    if (!first && !all_finite(seen.stream)) first = seen.block;
  }).run(control);
  std::string where = "the residual stream is finite, so the logits overflow in the output embedding";
  if (first == -1) where = "the residual stream is not finite from the token embedding on";
  if (first >= 0) where = "the residual stream is not finite from block " + std::to_string(*first) + " on";
  throw Error("NOT_FINITE", "expected finite numbers from " + call + " in " + dtype_name(model.dtype()) +
                                " but some are NaN or infinite: " + where + "; " +
                                advice(c10::typeMetaToScalarType(model.arithmetic().dtype())));
}

}  // namespace attention_bypass
