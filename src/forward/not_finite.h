#pragma once

#include <string>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// Throws NOT_FINITE for a row of tokens whose logits are NaN or infinite under a plan. Runs the row again to
// find the first block after which the residual stream is not finite, for the message. call: the name of the
// operation in the message, such as "scoring".
[[noreturn]] void throw_not_finite(const Model& model, const TokenRow& tokens, const BypassPlan& plan,
                                   const std::string& call, Control& control);

}  // namespace attention_bypass
