#include "decode/key_value_store.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/launches.h"
#include "decode/partial_attention.h"

namespace attention_bypass {

KeyValueStore::KeyValueStore(const ModelConfig& config, const at::TensorOptions& options, bool zeroed)
    : heads_(config.head_count),
      head_size_(config.head_size()),
      options_(options),
      zeroed_(zeroed),
      entries_(static_cast<size_t>(config.block_count)) {}

KeyValueStore::Entry KeyValueStore::allocate(int64_t slots, int64_t capacity) const {
  const std::array<int64_t, 5> shape = {2, slots, capacity, heads_, head_size_};
  const auto both = zeroed_ ? at::zeros(shape, options_) : at::empty(shape, options_);
  return {both, both.select(0, 0), both.select(0, 1)};
}

void KeyValueStore::reserve(int64_t slots, int64_t capacity, int64_t used) {
  if (slots <= slots_ && capacity <= capacity_) return;
  slots = std::max(slots, slots_);
  capacity = std::max(capacity, capacity_);
  if (zeroed_) capacity = aligned(capacity);
  // Nothing changes if memory does not suffice.
  auto larger = entries_;
  for (auto& entry : larger) {
    if (!entry.both.defined()) continue;
    const auto kept = entry.both.narrow(2, 0, used);
    count_key_values(kept);
    entry = allocate(slots, capacity);
    entry.both.narrow(1, 0, slots_).narrow(2, 0, used).copy_(kept);
  }
  entries_ = std::move(larger);
  for (int64_t slot = slots - 1; slot >= slots_; --slot) free_.push_back(slot);
  std::sort(free_.begin(), free_.end(), std::greater<>());
  slots_ = slots;
  capacity_ = capacity;
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
  for (auto& entry : entries_) {
    // An earlier row may have left NaN.
    if (entry.both.defined()) entry.both.select(1, slot).zero_();
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
  if (!entry.both.defined()) entry = allocate(slots_, capacity_);
  return entry;
}

}  // namespace attention_bypass
