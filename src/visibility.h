#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <optional>

namespace attention_bypass {

// Which keys each query of a pass may attend to: those at its own position or before, within the block's
// window, and of packed rows the shared ones and its own branch's alone. Masks are made when a block first
// asks, and shared by the blocks of the same window.
class Visibility {
 public:
  struct Rule {
    std::optional<at::Tensor> mask;  // (rows, 1, queries, keys), true where visible; none where all keys are
    bool causal;                     // the triangle of equal numbers of queries and keys, with no mask
  };

  // (rows, queries) and (rows, keys). dense: keys are at positions 0, 1, 2, ... in every row, and the queries
  // are the last of them, so that the common cases need no mask.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense);
  // Branches as positions are, or undefined.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense, at::Tensor query_branches,
             at::Tensor key_branches);

  const Rule& within(int64_t window);

 private:
  Rule make(int64_t window) const;

  at::Tensor query_positions_, key_positions_, query_branches_, key_branches_;
  bool dense_;
  std::map<int64_t, Rule> rules_;
};

}  // namespace attention_bypass
