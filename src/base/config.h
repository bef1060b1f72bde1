#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attention_bypass {

// The configuration of a model. All families use the same field names.
struct ModelConfig {
  std::string family;  // the name in the registry, see model/families.h
  int64_t block_count = 0;
  int64_t hidden_size = 0;
  int64_t head_count = 0;
  int64_t intermediate_size = 0;
  int64_t vocabulary_size = 0;
  int64_t context_length = 0;
  std::string activation;
  double norm_epsilon = 1e-5;
  bool tied_embedding = false;
  // For each block, the size of the attention window in tokens, including the query token; 0: all tokens.
  std::vector<int64_t> windows;
  // True: attention and MLP of a block both read the stream that enters the block. False: the MLP reads the
  // stream after attention.
  bool parallel_residual = false;
  bool attention_bias = true;        // whether the attention projections have a bias, for families with both
  bool zero_attention_bias = false;  // if they have none, build them with biases of zeros
  // For each block and head, whether the head attends only to the token itself. Empty: no head does.
  std::vector<std::vector<bool>> short_circuited;
  int64_t rotary_size = 0;  // rotated dimensions of each head
  double rotary_base = 10000;
  double attention_scale = 1;  // factor of the products of queries and keys

  int64_t head_size() const { return hidden_size / head_count; }
};

}  // namespace attention_bypass
