#pragma once

#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "model/bypass.h"

namespace attention_bypass {

// A bypass as text, so that tests compare bypasses without the code that they test.
inline std::string text(const BlockBypass& bypass) {
  std::ostringstream out;
  out << "[" << static_cast<int>(bypass.attention.mode) << " heads";
  for (const bool head : bypass.attention.heads) out << " " << head;
  out << " mean";
  for (const auto value : bypass.attention.mean) out << " " << value;
  out << ", " << static_cast<int>(bypass.mlp.mode) << " mean";
  for (const auto value : bypass.mlp.mean) out << " " << value;
  out << "]";
  return out.str();
}

// The first blocks of a plan as text.
inline std::string text(const BypassPlan& plan, size_t blocks) {
  std::string joined;
  for (size_t block = 0; block < blocks; ++block) joined += text(plan[block]);
  return joined;
}

// Plans that share many of their first blocks, and some of them all.
inline std::vector<BypassPlan> random_plans(size_t count, size_t blocks, uint64_t seed) {
  const std::vector<BlockBypass> choices = {
      {},
      {{BypassMode::zero, {}, {}}, {}},
      {{BypassMode::short_circuit, {}, {}}, {}},
      {{BypassMode::zero, {true, false}, {}}, {}},
      {{BypassMode::zero, {false, true}, {}}, {}},
      {{BypassMode::mean, {}, {1, 2}}, {}},
      {{BypassMode::mean, {}, {1, 3}}, {BypassMode::zero, {}}},
      {{}, {BypassMode::mean, {4, 5}}},
  };
  std::mt19937_64 random(seed);
  std::vector<BypassPlan> plans(count, BypassPlan(blocks));
  for (auto& plan : plans) {
    const size_t from = random() % (blocks + 1);
    for (size_t block = from; block < blocks; ++block) plan[block] = choices[random() % choices.size()];
  }
  return plans;
}

}  // namespace attention_bypass
