#pragma once

#include <ATen/ATen.h>

#include <map>
#include <utility>

namespace attention_bypass {

// The keys and values of a forward pass, for each block and each node of the plan tree that attends in the
// block. Plans that share a node share its keys and values.
class KeyValueCache {
 public:
  struct Entry {
    at::Tensor keys, values;  // (rows, heads, length, head size)
  };

  // The rows to store: `count` rows from `begin` on, or some of these rows; and the tokens: all, or those
  // from `first_token` on.
  struct Place {
    int64_t rows;  // in total
    int64_t begin, count;
    at::Tensor which;  // indices of rows, counted from `begin`; undefined: all
    int64_t first_token = 0;
    int64_t tokens = 0;  // in total; 0: no more than are stored at once
  };
  void store(int64_t block, int64_t node, const Place& place, const at::Tensor& keys,
             const at::Tensor& values);
  const Entry& at(int64_t block, int64_t node) const { return entries_.at({block, node}); }

 private:
  std::map<std::pair<int64_t, int64_t>, Entry> entries_;
};

}  // namespace attention_bypass
