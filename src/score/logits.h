#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// Returns the logits at every position of rows under a plan, (rows, longest row, vocabulary), float32 on the
// CPU. The padding of shorter rows is NaN. Throws NOT_FINITE.
at::Tensor compute_logits(const Model& model, const std::vector<TokenRow>& rows, const BypassPlan& plan,
                          Control& control);

}  // namespace attention_bypass
