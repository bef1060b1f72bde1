#pragma once

#include <torch/script.h>

#include <utility>

#include "product/product.h"

namespace attention_bypass {

// A linear layer of the module tree: a module with a `weight` and perhaps a `bias`.
class Linear {
 public:
  // transposed: the module stores the weight as (inputs, outputs).
  explicit Linear(torch::jit::Module module, bool transposed = false)
      : module_(std::move(module)),
        weight_(module_.type()->getAttributeSlot("weight")),
        bias_(module_.hasattr("bias") ? module_.attr("bias").toTensor() : at::Tensor()),
        transposed_(transposed) {}

  // Returns (outputs, inputs). Read from the module each time, because offloaded weights come and go.
  at::Tensor weight() const {
    const auto stored = module_._ivalue()->getSlot(weight_).toTensor();
    return transposed_ ? stored.t() : stored;
  }
  // Returns (outputs), or an undefined tensor.
  const at::Tensor& bias() const { return bias_; }
  const torch::jit::Module& module() const { return module_; }
  // Whether the module stores the weight as (inputs, outputs).
  bool transposed() const { return transposed_; }

  // input: (..., inputs). Returns (..., outputs).
  at::Tensor operator()(const at::Tensor& input) const { return product(input, weight(), bias_); }

 private:
  torch::jit::Module module_;
  size_t weight_;
  at::Tensor bias_;
  bool transposed_;
};

}  // namespace attention_bypass
