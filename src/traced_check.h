#pragma once

#include <string>

#include "model.h"

namespace attention_bypass {

// Runs a traced module and the model that was made of its weights on the same random tokens. Throws
// TRACE_DISAGREES where the logits differ by more than the model's dtype explains, or where the trace can't
// run.
void check_against_trace(const Model& model, const std::string& path, Control& control);

}  // namespace attention_bypass
