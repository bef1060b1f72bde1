#pragma once

#include <vector>

namespace attention_bypass {

// What becomes of the attention's contribution to the residual stream in one block.
enum class BypassMode {
  none,
  zero,           // nothing is added, and nothing is computed
  short_circuit,  // each token attends to itself alone: the output projection of its own value
};

// One mode for each block of the model.
using BypassPlan = std::vector<BypassMode>;

}  // namespace attention_bypass
