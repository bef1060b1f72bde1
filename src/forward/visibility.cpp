#include "forward/visibility.h"

namespace attention_bypass {

Visibility::Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense)
    : Visibility(std::move(query_positions), std::move(key_positions), dense, {}, {}) {}

Visibility::Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense,
                       at::Tensor query_branches, at::Tensor key_branches)
    : query_positions_(std::move(query_positions)),
      key_positions_(std::move(key_positions)),
      query_branches_(std::move(query_branches)),
      key_branches_(std::move(key_branches)),
      dense_(dense) {}

const KeyMask& Visibility::within(int64_t window) {
  const auto known = masks_.find(window);
  return known != masks_.end() ? known->second : masks_.emplace(window, make(window)).first->second;
}

KeyMask Visibility::make(int64_t window) const {
  const int64_t queries = query_positions_.size(1);
  const int64_t keys = key_positions_.size(1);
  if (dense_ && (window == 0 || keys <= window)) {
    if (queries == 1) return {std::nullopt, false};
    if (queries == keys) return {std::nullopt, true};
  }
  const auto across = [](const at::Tensor& of_queries) { return of_queries.unsqueeze(1).unsqueeze(3); };
  const auto along = [](const at::Tensor& of_keys) { return of_keys.unsqueeze(1).unsqueeze(2); };
  const auto query = across(query_positions_);
  const auto key = along(key_positions_);
  auto mask = key <= query;
  if (window > 0) mask = mask.logical_and_(key > query - window);
  if (key_branches_.defined()) {
    const auto branch = along(key_branches_);
    mask = mask.logical_and_((branch == 0).logical_or(branch == across(query_branches_)));
  }
  return {mask, false};
}

}  // namespace attention_bypass
