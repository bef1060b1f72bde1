#include "score/logits.h"

#include <cmath>

#include "base/finite.h"
#include "base/transfer.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"

namespace attention_bypass {

at::Tensor compute_logits(const Model& model, const std::vector<TokenRow>& rows, const BypassPlan& plan,
                          Control& control) {
  const c10::InferenceMode inference;
  const Plans plans(model, {plan});
  const PassRows inputs(rows, model.device());
  ForwardPass pass(model, plans, inputs);
  control.expect(pass.operations());
  auto logits = model.unembed(pass.run(control).front());
  control.check();
  const auto padding = (inputs.inputs.key_positions == hidden_position).unsqueeze(2);
  if (!inputs.inputs.even) logits.masked_fill_(padding, 0);
  if (!all_finite(logits)) {
    for (size_t row = 0; row < rows.size(); ++row) {
      if (all_finite(logits[static_cast<int64_t>(row)])) continue;
      throw_not_finite(model, rows[row], plan, "computing logits", control);
    }
  }
  if (!inputs.inputs.even) logits.masked_fill_(padding, std::nan(""));
  return to_host(logits);
}

}  // namespace attention_bypass
