#pragma once

#include <torch/script.h>

#include <string>

#include "model/activation.h"
#include "model/linear.h"

namespace attention_bypass {

// The MLP of one block.
class Mlp {
 public:
  // module: of the module tree. activation: a name in model/activation.h.
  Mlp(torch::jit::Module module, Linear up, Linear down, const std::string& activation)
      : module_(std::move(module)),
        up_(std::move(up)),
        down_(std::move(down)),
        activation_(activation_function(activation)) {}

  at::Tensor operator()(const at::Tensor& normed) const { return down_(activation_(up_(normed))); }
  at::Tensor activate(const at::Tensor& values) const { return activation_(values); }
  const Linear& up() const { return up_; }
  const Linear& down() const { return down_; }
  const torch::jit::Module& module() const { return module_; }

 private:
  torch::jit::Module module_;
  Linear up_, down_;
  ActivationFunction activation_;
};

}  // namespace attention_bypass
