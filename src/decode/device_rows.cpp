#include "decode/device_rows.h"

#include <algorithm>

#include "base/launches.h"
#include "base/transfer.h"

namespace attention_bypass {

DeviceRows::DeviceRows(const Model& model, KeyValueStore& store, const std::vector<DecodingRow*>& rows,
                       const std::vector<int64_t>& waiting)
    : model_(model), store_(store), prompts_(model, rows) {
  const int64_t capacity = store.capacity();
  std::vector<int64_t> positions, places, steps, slots;
  for (int64_t slot = 0; slot < std::ssize(rows); ++slot) {
    const auto* row = rows[static_cast<size_t>(slot)];
    // The last place of a full slot is overwritten only if its row is not decoded any more.
    const int64_t stored =
        row != nullptr ? row->stored : std::min(capacity - 1, waiting[static_cast<size_t>(slot)]);
    positions.push_back(row != nullptr ? row->position() : 0);
    places.push_back(slot * capacity + stored);
    steps.push_back(row != nullptr ? 1 : 0);
    slots.push_back(slot * capacity);
  }
  const auto count = std::ssize(rows);
  std::vector<int64_t> numbers;
  for (const auto* some : {&positions, &places, &steps, &slots}) {
    numbers.insert(numbers.end(), some->begin(), some->end());
  }
  const auto all = to_device(numbers, model.device()).view({4, count});
  state_ = all.narrow(0, 0, 2).clone();
  step_ = all.select(0, 2);
  in_slots_ = all.select(0, 3);
  const auto tokens = at::arange(capacity, all.options());
  const auto stored = (state_.select(0, 1) - in_slots_).unsqueeze(1);
  hidden_ =
      at::zeros({count, capacity}, model.arithmetic())
          .masked_fill_(tokens >= stored, hiding(c10::typeMetaToScalarType(model.arithmetic().dtype())));
}

void DeviceRows::begin(int64_t longest) {
  longest_ = longest;
  masks_.clear();
  hidden_.view({-1}).index_fill_(0, state_.select(0, 1), 0);
}

const at::Tensor& DeviceRows::mask(int64_t window) {
  auto& mask = masks_[window];
  if (mask.defined()) return mask;
  mask = hidden_;
  if (window > 0) {
    // Positions in a slot follow those of the prompt.
    const auto earliest = state_.select(0, 1) - in_slots_ - window + 1;
    const auto tokens = at::arange(hidden_.size(1), state_.options());
    mask = hidden_.masked_fill(tokens < earliest.unsqueeze(1), hiding(hidden_.scalar_type()));
  }
  mask = mask.view({hidden_.size(0), 1, 1, -1}).narrow(3, 0, longest_);
  return mask;
}

at::Tensor DeviceRows::mix(const Block& block, Projections own) {
  auto& slots = store_.at(block_);
  const auto rows = own.queries.size(0);
  const auto& places = state_.select(0, 1);
  if (own.keys_and_values.defined()) {
    slots.both.flatten(1, 2).index_copy_(1, places, own.keys_and_values.select(3, 0));
  } else {
    slots.keys.flatten(0, 1).index_copy_(0, places, own.keys.select(2, 0));
    slots.values.flatten(0, 1).index_copy_(0, places, own.values.select(2, 0));
  }
  count_key_values(own.keys);
  count_key_values(own.values);
  const auto stored = [&](const at::Tensor& all) {
    return all.narrow(0, 0, rows).narrow(1, 0, longest_).transpose(1, 2);
  };
  const double scale = model_.config().attention_scale;
  if (prompts_.empty()) {
    return at::scaled_dot_product_attention(own.queries, stored(slots.keys), stored(slots.values),
                                            mask(block.window()), 0.0, false, scale)
        .transpose(1, 2)
        .flatten(2);
  }
  auto [mixed, log_sum_exp] =
      attend_partially(own.queries, stored(slots.keys), stored(slots.values), mask(block.window()), scale);
  const auto in_prompts = prompts_.attend(block_, block, own.queries, state_.select(0, 0));
  return joined(in_prompts, {mixed.select(1, 0), log_sum_exp.select(1, 0)}).flatten(1).unsqueeze(1);
}

void DeviceRows::advance() { state_.add_(step_); }

}  // namespace attention_bypass
