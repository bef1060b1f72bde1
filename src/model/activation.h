#pragma once

#include <string>

namespace attention_bypass {

// An activation as an expression of x in TorchScript.
std::string activation_expression(const std::string& name);

// What bounds on an activation's differences need. All activations here fall to their least value, if they
// have one, and rise from there on, or only rise.
struct ActivationShape {
  double steepest;  // at least the greatest slope; infinite where there is none
  double least;     // at most the least value; infinite where there is none and the activation only rises
  double lowest;    // where that is, within 0.001
};

ActivationShape activation_shape(const std::string& name);

}  // namespace attention_bypass
