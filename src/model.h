#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

#include "architecture.h"
#include "bypass.h"
#include "config.h"
#include "control.h"
#include "key_value_cache.h"
#include "token_batch.h"

namespace attention_bypass {

// A canonical module, driven block by block. One thread at a time.
class Model {
 public:
  Model(ModelConfig config, Architecture architecture, const at::TensorOptions& options);

  // From tokens to the residual stream after the last block, (rows, longest, hidden size). With a cache, the
  // batch's tokens come behind those that the cache holds, and are added to it. Advances the control by a
  // unit for each token and block.
  at::Tensor forward(const TokenBatch& batch, const BypassPlan& plan, KeyValueCache* cache,
                     Control& control) const;

  // What the output embedding costs for a token, in blocks' costs; the units in which controls advance.
  double head_cost() const {
    return static_cast<double>(config_.vocabulary_size) / (12.0 * static_cast<double>(config_.hidden_size));
  }

  // Logits in float32 from the residual stream, final norm included: (..., hidden size) -> (..., vocabulary).
  at::Tensor unembed(const at::Tensor& hidden) const;

  // Writes the module as a TorchScript archive, with these files beside it.
  void save(const std::string& path, const std::map<std::string, std::string>& extra) const;

  const ModelConfig& config() const { return config_; }
  const at::TensorOptions& options() const { return options_; }
  at::Device device() const { return options_.device(); }

 private:
  struct Block {
    torch::jit::Method attention_norm, project, attend, short_circuit, mlp_norm, mlp;
    int64_t window;
  };

  ModelConfig config_;
  torch::jit::Module root_;
  at::TensorOptions options_;
  torch::jit::Method embed_, rotation_, unembed_;
  std::vector<Block> blocks_;
};

}  // namespace attention_bypass
