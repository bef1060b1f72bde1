#pragma once

#include <ATen/ATen.h>

#include <map>
#include <utility>

namespace attention_bypass {

// The keys and values that a walk has computed, of each block for each stem that attends there. Plans that
// share a stem share its keys and values.
class PromptCache {
 public:
  struct Entry {
    at::Tensor keys, values;  // (rows, heads, length, head size)
  };

  // Takes those of the rows from `begin` on, out of `rows`.
  void store(int64_t block, int64_t stem, int64_t rows, int64_t begin, const at::Tensor& keys,
             const at::Tensor& values);
  const Entry& at(int64_t block, int64_t stem) const { return entries_.at({block, stem}); }

 private:
  std::map<std::pair<int64_t, int64_t>, Entry> entries_;
};

}  // namespace attention_bypass
