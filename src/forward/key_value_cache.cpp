#include "forward/key_value_cache.h"

#include <algorithm>
#include <utility>

namespace attention_bypass {

int64_t KeyValueCache::Nodes::index(int64_t node) const {
  return std::find(nodes.begin(), nodes.end(), node) - nodes.begin();
}

void KeyValueCache::expect(int64_t block, std::vector<int64_t> nodes) {
  if (!nodes.empty()) blocks_[block].nodes = std::move(nodes);
}

const KeyValueCache::Nodes* KeyValueCache::nodes(int64_t block) const {
  const auto found = blocks_.find(block);
  return found == blocks_.end() ? nullptr : &found->second;
}

void KeyValueCache::store(int64_t block, int64_t node, const Place& place, const at::Tensor& keys,
                          const at::Tensor& values) {
  auto& all = blocks_[block];
  if (!all.keys.defined()) {
    if (all.nodes.empty()) all.nodes.push_back(node);
    auto shape = keys.sizes().vec();
    shape.front() = place.rows;
    if (place.tokens > 0) shape[2] = place.tokens;
    shape.insert(shape.begin(), std::ssize(all.nodes));
    all.keys = at::empty(shape, keys.options());
    all.values = at::empty(shape, values.options());
    for (size_t index = 0; index < all.nodes.size(); ++index) {
      const auto at = static_cast<int64_t>(index);
      all.entries[all.nodes[index]] = {all.keys.select(0, at), all.values.select(0, at)};
    }
  }
  const auto write = [&place](const at::Tensor& to, const at::Tensor& from) {
    auto rows = to.narrow(0, place.begin, place.count).narrow(2, place.first_token, from.size(2));
    if (place.which.defined()) {
      rows.index_copy_(0, place.which, from);
    } else {
      rows.copy_(from);
    }
  };
  const auto& entry = all.entries.at(node);
  write(entry.keys, keys);
  write(entry.values, values);
}

}  // namespace attention_bypass
