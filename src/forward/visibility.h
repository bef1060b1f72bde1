#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>

#include "model/block.h"

namespace attention_bypass {

// Which keys each query may read: those at its own position or before, within the block's window, and in
// packed rows only those of the shared prefix and of the query's own branch. Masks are made at first use and
// shared by the blocks of the same window.
class Visibility {
 public:
  // (rows, queries) and (rows, keys). dense: keys are at positions 0, 1, 2, ... in every row, and the queries
  // are the last of them, so that the common cases need no mask.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense);
  // Branches as positions are, or undefined.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense, at::Tensor query_branches,
             at::Tensor key_branches);

  // window: how many tokens back, including the token itself; 0: all.
  const KeyMask& within(int64_t window);

 private:
  KeyMask make(int64_t window) const;

  at::Tensor query_positions_, key_positions_, query_branches_, key_branches_;
  bool dense_;
  std::map<int64_t, KeyMask> masks_;
};

}  // namespace attention_bypass
