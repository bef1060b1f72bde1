#include "visibility.h"

namespace attention_bypass {

Visibility::Visibility(at::Tensor query_positions, at::Tensor key_positions, bool dense)
    : query_positions_(std::move(query_positions)), key_positions_(std::move(key_positions)), dense_(dense) {}

const Visibility::Rule& Visibility::within(int64_t window) {
  const auto known = rules_.find(window);
  return known != rules_.end() ? known->second : rules_.emplace(window, make(window)).first->second;
}

Visibility::Rule Visibility::make(int64_t window) const {
  const int64_t queries = query_positions_.size(1);
  const int64_t keys = key_positions_.size(1);
  if (dense_ && (window == 0 || keys <= window)) {
    if (queries == 1) return {std::nullopt, false};
    if (queries == keys) return {std::nullopt, true};
  }
  const auto query = query_positions_.unsqueeze(1).unsqueeze(3);
  const auto key = key_positions_.unsqueeze(1).unsqueeze(2);
  auto mask = key <= query;
  if (window > 0) mask = mask.logical_and_(key > query - window);
  return {mask, false};
}

}  // namespace attention_bypass
