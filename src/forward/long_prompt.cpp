#include "forward/long_prompt.h"

#include <algorithm>
#include <utility>

#include "base/transfer.h"
#include "forward/visibility.h"

namespace attention_bypass {

// Attention of a piece to the tokens before it and to itself.
class LongPrompt::Reader final : public KeyValueReader {
 public:
  Reader(KeyValueCache& cache, Visibility& visibility, KeyValueCache::Place place)
      : cache_(cache), visibility_(visibility), place_(std::move(place)) {}

  void set_block(int64_t block) { block_ = block; }

  at::Tensor mix(const Block& block, Projections own) override {
    cache_.store(block_, 0, place_, own.keys, own.values);
    const auto& [keys, values] = cache_.at(block_, 0);
    const int64_t seen = place_.first_token + own.keys.size(2);
    return block.attention().mix({own.queries, keys.narrow(2, 0, seen), values.narrow(2, 0, seen)},
                                 visibility_.within(block.window()));
  }

 private:
  KeyValueCache& cache_;
  Visibility& visibility_;
  KeyValueCache::Place place_;
  int64_t block_ = 0;
};

LongPrompt::LongPrompt(const Model& model, const PlannedRow& row, std::shared_ptr<KeyValueCache> cache)
    : model_(model), row_(row), cache_(std::move(cache)) {}

at::Tensor LongPrompt::next(Control& control) {
  const c10::InferenceMode inference;
  const auto& tokens = *row_.tokens;
  const int64_t end = std::min(computed_ + piece(model_.device()), std::ssize(tokens));
  const auto counting = at::TensorOptions(at::kLong).device(model_.device());
  const auto positions = model_.positions(at::arange(computed_, end, counting).unsqueeze(0));
  Visibility visibility(positions.values, at::arange(end, counting).unsqueeze(0), /*dense=*/true);
  Reader reader(*cache_, visibility, {1, 0, 1, {}, computed_, std::ssize(tokens)});
  const auto ids =
      at::tensor(c10::IntArrayRef(tokens.data() + computed_, tokens.data() + end), at::kLong).unsqueeze(0);
  auto stream = model_.embed(to_device(ids, model_.device()), positions.values);
  for (int64_t index = 0; index < model_.config().block_count; ++index) {
    control.check();
    const auto block = model_.block(index, end - computed_);
    reader.set_block(index);
    const RowBypasses bypass(row_.plans->compiled.at(index, row_.plans->table.number(0, index)));
    stream = BlockStep(*block, stream, positions, reader).after(bypass);
  }
  computed_ = end;
  return stream.select(1, -1);
}

}  // namespace attention_bypass
