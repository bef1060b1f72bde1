#pragma once

#include <torch/script.h>

#include <utility>

namespace attention_bypass {

// A layer norm of the module tree: a module with a `weight` and a `bias`.
class LayerNorm {
 public:
  // type: the dtype of the results.
  LayerNorm(torch::jit::Module module, double epsilon, at::ScalarType type)
      : module_(std::move(module)),
        scale_(module_.attr("weight").toTensor()),
        shift_(module_.attr("bias").toTensor()),
        epsilon_(epsilon),
        type_(type) {}

  at::Tensor operator()(const at::Tensor& stream) const {
    const auto normed = at::layer_norm(stream, {scale_.size(0)}, scale_, shift_, epsilon_);
    return type_ == normed.scalar_type() ? normed : normed.to(type_);
  }
  // Returns what the norm multiplies the centred stream by, (..., 1): 1 / its standard deviation.
  at::Tensor factor(const at::Tensor& stream) const {
    return at::rsqrt(stream.var({-1}, /*unbiased=*/false, /*keepdim=*/true) + epsilon_);
  }
  // Applies the norm with these factors instead of the stream's own.
  at::Tensor with_factor(const at::Tensor& stream, const at::Tensor& factors) const {
    return ((stream - stream.mean({-1}, /*keepdim=*/true)) * factors * scale_ + shift_).to(type_);
  }
  // Returns the same norm with results in another dtype.
  LayerNorm with_results(at::ScalarType type) const { return {module_, epsilon_, type}; }
  at::ScalarType result_type() const { return type_; }
  double epsilon() const { return epsilon_; }
  const at::Tensor& scale() const { return scale_; }
  const at::Tensor& shift() const { return shift_; }
  const torch::jit::Module& module() const { return module_; }

 private:
  torch::jit::Module module_;
  at::Tensor scale_, shift_;
  double epsilon_;
  at::ScalarType type_;
};

}  // namespace attention_bypass
