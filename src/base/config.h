#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attention_bypass {

// The shape of a model, with the same names for all families.
struct ModelConfig {
  std::string family;  // its name in the registry, see model/families.h
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
  // Attention and MLP of a block both read the stream that enters it; otherwise one after the other.
  bool parallel_residual = false;
  bool attention_bias = true;  // of the projections to queries, keys and values, where a family has a choice
  int64_t rotary_size = 0;     // rotated dimensions of each head
  double rotary_base = 10000;
  double attention_scale = 1;  // of the products of queries and keys

  int64_t head_size() const { return hidden_size / head_count; }
};

}  // namespace attention_bypass
