#pragma once

#include "model/model.h"

namespace attention_bypass {

// A model without blocks, whose final norm only multiplies by a scale. output_embedding: (vocabulary, hidden
// size).
inline Model head_model(const at::Tensor& output_embedding, const at::Tensor& scale) {
  torch::jit::Module root("root");
  root.define(R"(
    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
      return ids
    def rotation(self, positions: Tensor) -> Tensor:
      return positions
  )");
  torch::jit::Module norm("norm");
  norm.register_parameter("weight", scale, /*is_buffer=*/false);
  norm.define("def forward(self, stream: Tensor) -> Tensor:\n  return stream * self.weight\n");
  torch::jit::Module embedding("embedding");
  embedding.register_parameter("weight", output_embedding, /*is_buffer=*/false);
  ModelConfig config;
  config.vocabulary_size = output_embedding.size(0);
  config.hidden_size = output_embedding.size(1);
  return Model(config, {root, norm, embedding, embedding, {}, {}}, {output_embedding.options(), false});
}

}  // namespace attention_bypass
