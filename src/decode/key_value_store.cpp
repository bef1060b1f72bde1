#include "decode/key_value_store.h"

#include <algorithm>
#include <array>
#include <functional>

namespace attention_bypass {

KeyValueStore::KeyValueStore(const ModelConfig& config, const at::TensorOptions& options, bool zeroed)
    : heads_(config.head_count),
      head_size_(config.head_size()),
      options_(options),
      zeroed_(zeroed),
      entries_(static_cast<size_t>(config.block_count)) {}

at::Tensor KeyValueStore::allocate() const {
  const std::array<int64_t, 4> shape = {slots_, capacity_, heads_, head_size_};
  return zeroed_ ? at::zeros(shape, options_) : at::empty(shape, options_);
}

void KeyValueStore::reserve(int64_t slots, int64_t capacity, int64_t used) {
  if (slots <= slots_ && capacity <= capacity_) return;
  const int64_t old_slots = slots_;
  slots_ = std::max(slots, slots_);
  capacity_ = std::max(capacity, capacity_);
  for (int64_t slot = slots_ - 1; slot >= old_slots; --slot) free_.push_back(slot);
  std::sort(free_.begin(), free_.end(), std::greater<>());
  for (auto& [keys, values] : entries_) {
    if (!keys.defined()) continue;
    for (auto* tensor : {&keys, &values}) {
      auto larger = allocate();
      larger.narrow(0, 0, old_slots).narrow(1, 0, used).copy_(tensor->narrow(1, 0, used));
      *tensor = larger;
    }
  }
}

int64_t KeyValueStore::take(int64_t tokens, int64_t used) {
  // Doubled each time, so that rows that are added one by one are copied only a few times.
  const int64_t slots = free_.empty() ? std::max<int64_t>(1, 2 * slots_) : slots_;
  const int64_t capacity =
      tokens > capacity_ ? std::max(tokens, std::min(2 * capacity_, 2 * tokens)) : capacity_;
  reserve(slots, capacity, used);
  const int64_t slot = free_.back();
  free_.pop_back();
  if (!zeroed_) return slot;
  for (auto& [keys, values] : entries_) {
    if (!keys.defined()) continue;
    // An earlier row may have left NaN.
    keys.select(0, slot).zero_();
    values.select(0, slot).zero_();
  }
  return slot;
}

void KeyValueStore::release(int64_t slot) {
  free_.push_back(slot);
  std::sort(free_.begin(), free_.end(), std::greater<>());
  if (std::ssize(free_) < slots_) return;
  // No slot is in use, so the memory is freed.
  free_.clear();
  slots_ = capacity_ = 0;
  for (auto& entry : entries_) entry = {};
}

KeyValueStore::Entry& KeyValueStore::at(int64_t block) {
  auto& entry = entries_[static_cast<size_t>(block)];
  if (!entry.keys.defined()) entry = {allocate(), allocate()};
  return entry;
}

}  // namespace attention_bypass
