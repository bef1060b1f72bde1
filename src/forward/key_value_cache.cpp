#include "forward/key_value_cache.h"

namespace attention_bypass {

void KeyValueCache::store(int64_t block, int64_t node, const Place& place, const at::Tensor& keys,
                          const at::Tensor& values) {
  auto& entry = entries_[{block, node}];
  if (!entry.keys.defined()) {
    auto shape = keys.sizes().vec();
    shape.front() = place.rows;
    if (place.tokens > 0) shape[2] = place.tokens;
    entry = {at::empty(shape, keys.options()), at::empty(shape, values.options())};
  }
  const auto write = [&place](const at::Tensor& to, const at::Tensor& from) {
    auto rows = to.narrow(0, place.begin, place.count).narrow(2, place.first_token, from.size(2));
    if (place.which.defined()) {
      rows.index_copy_(0, place.which, from);
    } else {
      rows.copy_(from);
    }
  };
  write(entry.keys, keys);
  write(entry.values, values);
}

}  // namespace attention_bypass
