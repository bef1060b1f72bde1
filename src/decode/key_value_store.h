#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "base/config.h"

namespace attention_bypass {

// The keys and values of the rows of a running batch. Each row has its own slot, whose index stays the same
// until the row is removed. Adding or removing a row does not move the other rows.
class KeyValueStore {
 public:
  struct Entry {
    at::Tensor both;          // (2, slots, capacity, heads, head size)
    at::Tensor keys, values;  // its parts
  };

  // zeroed: set memory to zero first, for attention that also multiplies masked values; capacities are then
  // multiples of mask_alignment.
  KeyValueStore(const ModelConfig& config, const at::TensorOptions& options, bool zeroed);

  // Allocates at least this many slots of at least this many tokens. used: the number of tokens in use in the
  // existing slots, which are copied if the store grows.
  void reserve(int64_t slots, int64_t capacity, int64_t used);
  // Returns a free slot for this many tokens. used: as in reserve().
  int64_t take(int64_t tokens, int64_t used);
  void release(int64_t slot);

  // Returns the keys and values of a block. Allocates them at the first call.
  Entry& at(int64_t block);
  int64_t capacity() const { return capacity_; }

 private:
  Entry allocate(int64_t slots, int64_t capacity) const;

  int64_t heads_, head_size_;
  at::TensorOptions options_;
  bool zeroed_;
  int64_t slots_ = 0, capacity_ = 0;
  std::vector<int64_t> free_;  // free slots in descending order
  std::vector<Entry> entries_;
};

}  // namespace attention_bypass
