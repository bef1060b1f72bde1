#include "key_value_cache.h"

#include "token_batch.h"

namespace attention_bypass {

KeyValueCache::KeyValueCache(const ModelConfig& config, const BypassPlan& plan, int64_t rows,
                             int64_t capacity, const at::TensorOptions& options)
    : capacity_(capacity), key_positions_(at::empty({rows, 0}, options.dtype(at::kLong))) {
  const auto space = [&] {
    return at::empty({rows, config.head_count, capacity, config.head_size()}, options);
  };
  for (const auto& bypass : plan) {
    if (bypass.attends()) {
      blocks_.emplace_back(space(), space());
    } else {
      blocks_.emplace_back();
    }
  }
}

void KeyValueCache::extend(const at::Tensor& key_positions, bool even) {
  columns_ += key_positions.size(1);
  TORCH_INTERNAL_ASSERT(columns_ <= capacity_, "the key-value cache is full");
  dense_ = dense_ && even;
  key_positions_ = at::cat({key_positions_, key_positions}, 1);
}

std::pair<at::Tensor, at::Tensor> KeyValueCache::store(int64_t block, const at::Tensor& keys,
                                                       const at::Tensor& values) {
  auto& [all_keys, all_values] = blocks_[static_cast<size_t>(block)];
  const int64_t added = keys.size(2);
  all_keys.narrow(2, columns_ - added, added).copy_(keys);
  all_values.narrow(2, columns_ - added, added).copy_(values);
  return {all_keys.narrow(2, 0, columns_), all_values.narrow(2, 0, columns_)};
}

void KeyValueCache::keep_rows(const at::Tensor& indices) {
  key_positions_ = key_positions_.index_select(0, indices);
  for (auto& [keys, values] : blocks_) {
    if (!keys.defined()) continue;
    // Only the columns in use are worth moving.
    for (auto* tensor : {&keys, &values}) {
      auto kept =
          at::empty({indices.size(0), tensor->size(1), capacity_, tensor->size(3)}, tensor->options());
      kept.narrow(2, 0, columns_).copy_(tensor->narrow(2, 0, columns_).index_select(0, indices));
      *tensor = kept;
    }
  }
}

}  // namespace attention_bypass
