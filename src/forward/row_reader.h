#pragma once

#include <functional>
#include <utility>

#include "forward/block_step.h"
#include "forward/visibility.h"

namespace attention_bypass {

// Attention of rows to their own tokens.
class RowReader final : public KeyValueReader {
 public:
  using Store = std::function<void(const Projections&)>;

  // store: called with the queries, keys and values of each step, if given. attending: the rows that attend;
  // undefined: all.
  explicit RowReader(Visibility& visibility, Store store = {}, at::Tensor attending = {})
      : visibility_(visibility), store_(std::move(store)), attending_(std::move(attending)) {}

  at::Tensor mix(const Block& block, Projections own) override {
    if (store_) store_(own);
    auto visible = visibility_.within(block.window());
    if (visible.mask && attending_.defined()) visible.mask = visible.mask->index_select(0, attending_);
    return block.attention().mix(own, visible);
  }

 private:
  Visibility& visibility_;
  Store store_;
  at::Tensor attending_;
};

}  // namespace attention_bypass
