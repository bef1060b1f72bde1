#pragma once

#include <string>

namespace attention_bypass {

// The TorchScript expression in x for an activation, by the name that configs use.
// Throws ACTIVATION_UNSUPPORTED.
std::string activation_expression(const std::string& name);

}  // namespace attention_bypass
