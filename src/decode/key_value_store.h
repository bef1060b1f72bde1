#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "base/config.h"

namespace attention_bypass {

// The keys and values of the rows of a running batch. Each row has a slot of its own, which never moves while
// the row is in the batch, so that rows join and leave without touching the others.
class KeyValueStore {
 public:
  struct Entry {
    at::Tensor keys, values;  // (slots, capacity, heads, head size)
  };

  // zeroed: whether memory is zero before it is written, for attention that multiplies also what it masks.
  KeyValueStore(const ModelConfig& config, const at::TensorOptions& options, bool zeroed);

  // Makes room for this many slots of this many tokens. used: how many tokens of the slots so far are in use,
  // which are copied where the store has to grow.
  void reserve(int64_t slots, int64_t capacity, int64_t used);
  // Takes a slot with room for this many tokens; used as above.
  int64_t take(int64_t tokens, int64_t used);
  void give_back(int64_t slot);

  // Memory is allocated when a block is first asked for.
  Entry& at(int64_t block);
  int64_t capacity() const { return capacity_; }

 private:
  at::Tensor allocate() const;

  int64_t heads_, head_size_;
  at::TensorOptions options_;
  bool zeroed_;
  int64_t slots_ = 0, capacity_ = 0;
  std::vector<int64_t> free_;  // slots, the lowest last
  std::vector<Entry> entries_;
};

}  // namespace attention_bypass
