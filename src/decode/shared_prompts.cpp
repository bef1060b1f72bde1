#include "decode/shared_prompts.h"

#include <algorithm>

#include "base/transfer.h"

namespace attention_bypass {

SharedPrompts::SharedPrompts(const Model& model, const std::vector<DecodingRow*>& rows)
    : scale_(model.config().attention_scale) {
  const auto& first =
      **std::find_if(rows.begin(), rows.end(), [](const auto* row) { return row != nullptr; });
  prompts_ = first.shared > 0 ? first.prompts.get() : nullptr;
  for (const auto* row : rows) {
    if (row == nullptr) continue;
    TORCH_INTERNAL_ASSERT(
        prompts_ == nullptr ? row->shared == 0 : row->shared > 0 && row->prompts.get() == prompts_,
        "expected prompts of one forward pass");
    longest_ = std::max(longest_, row->shared);
  }
  if (empty()) return;
  // The indices of all blocks are copied to the device at once.
  std::vector<int64_t> numbers;
  std::vector<int64_t> sizes;
  for (int64_t block = 0; block < model.config().block_count; ++block) {
    auto& arrangement = blocks_.emplace_back();
    const auto* nodes = prompts_->nodes(block);
    if (nodes == nullptr) continue;
    const int64_t pass_rows = nodes->keys.size(1);
    const int64_t groups = std::ssize(nodes->nodes) * pass_rows;
    std::vector<std::vector<int64_t>> members(static_cast<size_t>(groups));
    for (int64_t row = 0; row < std::ssize(rows); ++row) {
      const auto* one = rows[static_cast<size_t>(row)];
      if (one == nullptr || !one->bypass(block).attends()) continue;
      const int64_t group = nodes->index(one->prompt_node(block)) * pass_rows + one->prompt_row;
      members[static_cast<size_t>(group)].push_back(row);
    }
    for (const auto& group : members) {
      arrangement.queries = std::max<int64_t>(arrangement.queries, std::ssize(group));
    }
    if (arrangement.queries == 0) continue;
    const auto places = static_cast<size_t>(groups * arrangement.queries);
    std::vector<int64_t> row_at(places), seen_at(places), place_of(rows.size());
    for (size_t group = 0; group < members.size(); ++group) {
      size_t place = group * static_cast<size_t>(arrangement.queries);
      for (const auto row : members[group]) {
        row_at[place] = row;
        seen_at[place] = rows[static_cast<size_t>(row)]->shared;
        place_of[static_cast<size_t>(row)] = static_cast<int64_t>(place++);
      }
    }
    for (const auto* some : {&row_at, &seen_at, &place_of}) {
      numbers.insert(numbers.end(), some->begin(), some->end());
      sizes.push_back(std::ssize(*some));
    }
  }
  const auto all = to_device(numbers, model.device());
  int64_t begin = 0;
  auto size = sizes.begin();
  for (auto& arrangement : blocks_) {
    if (arrangement.queries == 0) continue;
    for (auto* tensor : {&arrangement.rows, &arrangement.seen, &arrangement.places}) {
      *tensor = all.narrow(0, begin, *size);
      begin += *size++;
    }
  }
}

int64_t SharedPrompts::row_bytes(const Model& model, const PlanTree& tree, int64_t length) {
  int64_t most_places = 0;
  for (int64_t block = 0; block < tree.blocks(); ++block) {
    std::vector<int64_t> members(static_cast<size_t>(tree.nodes()));
    for (int64_t node = 0; node < tree.nodes(); ++node) {
      ++members[static_cast<size_t>(tree.ancestor(node, block))];
    }
    int64_t attending = 0, queries = 0;
    for (const auto& split : tree.splits(block)) {
      if (!split.attends) continue;
      ++attending;
      queries = std::max(queries, members[static_cast<size_t>(split.node)]);
    }
    most_places = std::max(most_places, attending * queries);
  }
  const auto element = static_cast<int64_t>(model.arithmetic().dtype().itemsize());
  const int64_t mask = aligned(length) * (1 + element);
  // The queries and the results, arranged and in the order of the batch.
  return most_places * (4 * model.config().hidden_size * element + mask);
}

PartialAttention SharedPrompts::attend(int64_t index, const Block& block, const at::Tensor& queries,
                                       const at::Tensor& positions) const {
  const auto& arrangement = blocks_[static_cast<size_t>(index)];
  const auto& nodes = *prompts_->nodes(index);
  const auto keys = nodes.keys.flatten(0, 1).narrow(2, 0, longest_);
  const auto values = nodes.values.flatten(0, 1).narrow(2, 0, longest_);
  const int64_t groups = keys.size(0);
  const auto arranged = queries.select(2, 0)
                            .index_select(0, arrangement.rows)
                            .view({groups, arrangement.queries, queries.size(1), queries.size(3)})
                            .transpose(1, 2);
  const auto tokens = at::arange(aligned(longest_), arrangement.rows.options());
  auto hidden = tokens >= arrangement.seen.unsqueeze(1);
  if (block.window() > 0) {
    const auto earliest = positions.index_select(0, arrangement.rows) - block.window() + 1;
    hidden = hidden.logical_or_(tokens < earliest.unsqueeze(1));
  }
  const auto mask = at::zeros(hidden.sizes(), queries.options())
                        .masked_fill_(hidden, hiding(queries.scalar_type()))
                        .view({groups, 1, arrangement.queries, -1})
                        .narrow(3, 0, longest_);
  const auto [mixed, log_sum_exp] = attend_partially(arranged, keys, values, mask, scale_);
  return {mixed.flatten(0, 1).index_select(0, arrangement.places),
          log_sum_exp.flatten(0, 1).index_select(0, arrangement.places)};
}

}  // namespace attention_bypass
