#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>

namespace attention_bypass {

using ActivationFunction = std::function<at::Tensor(const at::Tensor&)>;

// Returns an activation. Throws ACTIVATION_UNSUPPORTED.
ActivationFunction activation_function(const std::string& name);
// Returns the same as a TorchScript expression of x. Throws ACTIVATION_UNSUPPORTED.
std::string activation_expression(const std::string& name);

// Properties of an activation that bounds of its differences use. Every activation is either increasing, or
// decreasing up to its minimum and increasing after it.
struct ActivationShape {
  double steepest;  // an upper bound of the slope; infinite if there is none
  double least;     // a lower bound of the minimum; infinite if the activation is increasing
  double lowest;    // the x of the minimum, within 0.001
};

ActivationShape activation_shape(const std::string& name);

}  // namespace attention_bypass
