#pragma once

#include <ATen/ATen.h>

#include "model/architecture.h"
#include "model/bypass.h"

namespace attention_bypass {

// The weights of a linear layer: (outputs, inputs) and (outputs). The bias may be undefined.
struct LayerWeights {
  at::Tensor weight, bias;
};

// Return the weights of the last layer of attention or of an MLP with which its output is that of the bypass.
// Modes that are not weights, none and short_circuit, change nothing. The mode mean requires a bias. Throw
// NOT_FINITE if a mean output is larger than the dtype can represent.
LayerWeights bypassed_weights(const LayerWeights& of, const AttentionBypass& bypass);
LayerWeights bypassed_weights(const LayerWeights& of, const MlpBypass& bypass);

// Replaces the weights of a model in memory by those with a bypass. Throws NOT_FINITE.
void write_bypass(const Architecture& architecture, const BypassPlan& plan);

}  // namespace attention_bypass
