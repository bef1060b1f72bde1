#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace attention_bypass {

enum class Family { gpt_neox, gpt_neo };

// The shape of a model, in one vocabulary for both families.
struct ModelConfig {
  Family family = Family::gpt_neox;
  int64_t block_count = 0;
  int64_t hidden_size = 0;
  int64_t head_count = 0;
  int64_t intermediate_size = 0;
  int64_t vocabulary_size = 0;
  int64_t context_length = 0;
  std::string activation;
  double norm_epsilon = 1e-5;
  bool tied_embedding = false;
  // For each block, how many tokens back it may attend, itself included; 0 where it sees all of them.
  std::vector<int64_t> windows;
  // GPT-NeoX alone.
  bool parallel_residual = true;
  bool attention_bias = true;
  int64_t rotary_size = 0;
  double rotary_base = 10000;

  int64_t head_size() const { return hidden_size / head_count; }
  // Of the products of queries and keys. GPT-Neo takes them as they are.
  double attention_scale() const {
    return family == Family::gpt_neox ? 1 / std::sqrt(static_cast<double>(head_size())) : 1;
  }
};

}  // namespace attention_bypass
