#pragma once

#include <tuple>
#include <vector>

namespace attention_bypass {

// What becomes of the attention's contribution to the residual stream in one block.
enum class BypassMode {
  none,
  zero,           // nothing is added, and nothing is computed
  short_circuit,  // each token attends to itself alone: the output projection of its own value
  mean,           // every token gets the output projection of the same mixed values
};

struct BlockBypass {
  BypassMode mode = BypassMode::none;
  // For each head, whether it is bypassed. Empty: the attention as a whole, its output's bias included, which
  // otherwise stays.
  std::vector<bool> heads;
  std::vector<float> mean;  // of mode mean: the mixed values, as many as the model is wide

  // Whether anything of the attention is still computed.
  bool attends() const { return mode == BypassMode::none || !heads.empty(); }
  // What tells bypasses apart.
  auto key() const { return std::tie(mode, heads, mean); }
  bool operator<(const BlockBypass& other) const { return key() < other.key(); }
};

// For each block of the model.
using BypassPlan = std::vector<BlockBypass>;

}  // namespace attention_bypass
