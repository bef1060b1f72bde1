#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "bypass.h"
#include "config.h"

namespace attention_bypass {

// The keys and values that each block's attention has computed, in memory set aside once. Columns are shared
// by all rows in the order in which they were written; a column's position in a row is kept apart, so that a
// row can have gaps (key position hidden_position) and rows of unequal length need no moving about.
class KeyValueCache {
 public:
  // No memory is set aside for the blocks that the plan bypasses.
  KeyValueCache(const ModelConfig& config, const BypassPlan& plan, int64_t rows, int64_t capacity,
                const at::TensorOptions& options);

  // Makes room for new columns with these key positions, (rows, new columns). even: the same in all rows,
  // without gaps.
  void extend(const at::Tensor& key_positions, bool even);

  // Writes a block's keys and values, (rows, heads, new columns, head size), into the columns that extend
  // made last, and returns all that the block has.
  std::pair<at::Tensor, at::Tensor> store(int64_t block, const at::Tensor& keys, const at::Tensor& values);

  void keep_rows(const at::Tensor& indices);

  const at::Tensor& key_positions() const { return key_positions_; }
  bool dense() const { return dense_; }

 private:
  int64_t capacity_;
  int64_t columns_ = 0;
  bool dense_ = true;
  at::Tensor key_positions_;                               // (rows, columns)
  std::vector<std::pair<at::Tensor, at::Tensor>> blocks_;  // (rows, heads, capacity, head size)
};

}  // namespace attention_bypass
