#pragma once

#include <string>
#include <utility>

#include "model/model.h"

namespace attention_bypass {

// A module with a weight.
inline torch::jit::Module weight_module(const std::string& name, const at::Tensor& weight) {
  torch::jit::Module module(name);
  module.register_parameter("weight", weight, /*is_buffer=*/false);
  return module;
}

// The final norm of head_model(): a layer norm without shift whose epsilon is 0.
inline LayerNorm scaling_norm(const at::Tensor& scale, at::ScalarType result) {
  auto module = weight_module("norm", scale);
  module.register_parameter("bias", at::zeros_like(scale), /*is_buffer=*/false);
  return {module, 0, result};
}

// A model without blocks. output_embedding: (vocabulary, hidden size). scale: of the final norm, float32.
inline Model head_model(const at::Tensor& output_embedding, const at::Tensor& scale) {
  const auto embedding = weight_module("embedding", output_embedding);
  ModelConfig config;
  config.vocabulary_size = output_embedding.size(0);
  config.hidden_size = output_embedding.size(1);
  const auto type = arithmetic_type(at::kCPU, output_embedding.scalar_type());
  Architecture architecture{torch::jit::Module("root"), embedding, embedding, {}, {},
                            scaling_norm(scale, type),  {}};
  return {config, std::move(architecture), {output_embedding.options(), false}};
}

}  // namespace attention_bypass
