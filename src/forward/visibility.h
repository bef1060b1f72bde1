#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>

#include "model/block.h"

namespace attention_bypass {

// The attention masks of a batch. A query attends to keys at its own position or before, within the block's
// window, and in packed rows only to the shared prefix and its own branch. A mask is created when it is first
// needed and shared by the blocks with the same window.
class Visibility {
 public:
  // query_positions: (rows, queries). key_positions: (rows, keys). dense: keys are at positions 0, 1, 2, ...
  // in every row, and the queries are the last of them; the common cases then need no mask.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense);
  // Branches have the shape of the positions, or are undefined.
  Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense, at::Tensor query_branches,
             at::Tensor key_branches);

  // window: in tokens, including the query token; 0: all.
  const KeyMask& within(int64_t window);

 private:
  KeyMask make(int64_t window) const;

  at::Tensor query_positions_, key_positions_, query_branches_, key_branches_;
  bool dense_;
  std::map<int64_t, KeyMask> masks_;
};

}  // namespace attention_bypass
