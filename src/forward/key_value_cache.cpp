#include "forward/key_value_cache.h"

namespace attention_bypass {

void KeyValueCache::store(int64_t block, int64_t node, int64_t rows, int64_t begin, const at::Tensor& keys,
                          const at::Tensor& values) {
  auto& entry = entries_[{block, node}];
  if (!entry.keys.defined()) {
    auto shape = keys.sizes().vec();
    shape.front() = rows;
    entry = {at::empty(shape, keys.options()), at::empty(shape, values.options())};
  }
  entry.keys.narrow(0, begin, keys.size(0)).copy_(keys);
  entry.values.narrow(0, begin, values.size(0)).copy_(values);
}

}  // namespace attention_bypass
