#include "decode/decoder.h"

#include <algorithm>
#include <cstring>

#include "decode/single_query_attention.h"
#include "decode/step_threads.h"
#include "forward/visibility.h"

namespace attention_bypass {

namespace {

at::Tensor column(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).unsqueeze(1).to(device);
}

}  // namespace

// Attention of the new token of each row to the row's prompt and to the tokens that were decoded after it.
class Decoder::Reader final : public KeyValueReader {
 public:
  Reader(const Model& model, KeyValueStore& store, const Batch& batch, bool in_place)
      : model_(model), store_(store), batch_(batch), in_place_(in_place) {
    if (in_place) return;
    std::vector<int64_t> stored;
    for (const auto* row : batch.rows) {
      stored.push_back(row->stored);
      longest_stored_ = std::max(longest_stored_, row->stored + 1);
    }
    stored_ = column(stored, model.device());
    targets_ = batch.slots + stored_.squeeze(1);
  }

  void set_block(int64_t block) { block_ = block; }

  at::Tensor mix(const Block& block, Projections own) override {
    if (in_place_) return mix_in_place(block, own);
    const auto& rows = batch_.bypasses[static_cast<size_t>(block_)].attending;
    auto& [keys, values] = store_.at(block_);
    const auto targets = some(targets_, rows);
    keys.flatten(0, 1).index_copy_(0, targets, own.keys.select(2, 0));
    values.flatten(0, 1).index_copy_(0, targets, own.values.select(2, 0));
    return mix_gathered(block, own.queries, rows);
  }

 private:
  static at::Tensor some(const at::Tensor& tensor, const at::Tensor& rows) {
    return rows.defined() ? tensor.index_select(0, rows) : tensor;
  }

  at::Tensor mix_in_place(const Block& block, const Projections& step) {
    const auto& own = store_.at(block_);
    const auto& attending = batch_.attending[static_cast<size_t>(block_)];
    store_tokens(step.keys, own.keys, attending);
    store_tokens(step.values, own.values, attending);
    const auto element = own.keys.element_size();
    const auto offset = [element](const at::Tensor& tensor, int64_t elements) -> const void* {
      return static_cast<const char*>(tensor.const_data_ptr()) + elements * element;
    };
    std::vector<std::vector<KeyValueSpan>> seen;
    for (const auto place : attending) {
      const auto& row = *batch_.rows[static_cast<size_t>(place)];
      const int64_t earliest =
          block.window() == 0 ? 0 : std::max<int64_t>(0, row.position() - block.window() + 1);
      auto& spans = seen.emplace_back();
      if (row.shared > earliest) {
        const auto& start = row.start;
        const auto& prompt = start.prompts->at(block_, start.plans->tree.ancestor(start.node, block_));
        const int64_t begin = start.row * prompt.keys.stride(0) + earliest * prompt.keys.stride(2);
        spans.push_back({offset(prompt.keys, begin), offset(prompt.values, begin), row.shared - earliest,
                         prompt.keys.stride(2), prompt.keys.stride(1)});
      }
      const int64_t from = std::max<int64_t>(0, earliest - row.shared);
      const int64_t begin = row.slot * own.keys.stride(0) + from * own.keys.stride(1);
      spans.push_back({offset(own.keys, begin), offset(own.values, begin), row.stored + 1 - from,
                       own.keys.stride(1), own.keys.stride(2)});
    }
    return single_query_attention(step.queries, seen, model_.config().attention_scale);
  }

  // Copies the key or value of each attending row's token, (rows, heads, 1, head size), to the row's slot.
  void store_tokens(const at::Tensor& tokens, const at::Tensor& slots,
                    const std::vector<int64_t>& attending) {
    const auto element = static_cast<size_t>(slots.element_size());
    const auto head_bytes = static_cast<size_t>(tokens.size(3)) * element;
    const auto at = [element](const at::Tensor& tensor, int64_t elements) {
      return static_cast<char*>(tensor.data_ptr()) + static_cast<size_t>(elements) * element;
    };
    for (size_t index = 0; index < attending.size(); ++index) {
      const auto& row = *batch_.rows[static_cast<size_t>(attending[index])];
      const int64_t to = row.slot * slots.stride(0) + row.stored * slots.stride(1);
      for (int64_t head = 0; head < tokens.size(1); ++head) {
        std::memcpy(at(slots, to + head * slots.stride(2)),
                    at(tokens, static_cast<int64_t>(index) * tokens.stride(0) + head * tokens.stride(1)),
                    head_bytes);
      }
    }
  }

  at::Tensor mix_gathered(const Block& block, const at::Tensor& queries, const at::Tensor& rows) {
    auto mask = visible(block.window());
    if (mask.mask && rows.defined()) mask.mask = mask.mask->index_select(0, rows);
    const auto& own = store_.at(block_);
    return block.attention().mix({queries, gathered(own.keys, &KeyValueCache::Entry::keys, rows),
                                  gathered(own.values, &KeyValueCache::Entry::values, rows)},
                                 mask);
  }

  const KeyMask& visible(int64_t window) {
    if (!visibility_) {
      const auto counting = [this](int64_t count) {
        return at::arange(count, at::TensorOptions(at::kLong).device(model_.device())).unsqueeze(0);
      };
      const auto before = counting(batch_.longest_shared);
      const auto behind = counting(longest_stored_);
      const auto key_positions =
          at::cat({at::where(before < batch_.shared, before, hidden_position),
                   at::where(behind <= stored_, behind + batch_.shared, hidden_position)},
                  1);
      const auto& first = *batch_.rows.front();
      const bool dense = std::all_of(batch_.rows.begin(), batch_.rows.end(), [&](const Row* row) {
        return row->shared == first.shared && row->stored == first.stored;
      });
      visibility_.emplace(batch_.shared + stored_, key_positions, dense);
    }
    return visibility_->within(window);
  }

  // Returns the keys or values of the prompts followed by those of the slots: (rows, heads, length, head
  // size).
  at::Tensor gathered(const at::Tensor& slots, at::Tensor KeyValueCache::Entry::* part,
                      const at::Tensor& rows) const {
    const auto first = some(batch_.slots, rows).div(store_.capacity(), "floor");
    auto own = slots.narrow(1, 0, longest_stored_).index_select(0, first).transpose(1, 2);
    if (batch_.longest_shared == 0) return own;
    // Rows without a shared prompt have zeros there, which are masked.
    auto prompt = at::zeros({own.size(0), own.size(1), batch_.longest_shared, own.size(3)}, own.options());
    for (const auto& group : batch_.groups[static_cast<size_t>(block_)]) {
      const auto& entry = *group.prompt.*part;
      prompt.index_copy_(0, group.places,
                         entry.narrow(2, 0, batch_.longest_shared).index_select(0, group.rows));
    }
    return at::cat({prompt, own}, 2);
  }

  const Model& model_;
  KeyValueStore& store_;
  const Batch& batch_;
  bool in_place_;
  int64_t block_ = 0;
  int64_t longest_stored_ = 0;
  at::Tensor stored_, targets_;  // (rows, 1) and (rows)
  std::optional<Visibility> visibility_;
};

Decoder::Decoder(const Model& model)
    : model_(model), costs_(model.config()), store_(model.config(), model.arithmetic(), !in_place()) {}

bool Decoder::in_place() const {
  const auto type = c10::typeMetaToScalarType(model_.arithmetic().dtype());
  return model_.device().is_cpu() && (type == at::kFloat || type == at::kBFloat16);
}

int64_t Decoder::token_bytes(const Model& model) {
  return 2 * model.config().block_count * model.config().hidden_size *
         static_cast<int64_t>(model.arithmetic().dtype().itemsize());
}

double Decoder::operations(const Model& model, int64_t length) {
  const Operations costs(model.config());
  return static_cast<double>(model.config().block_count) *
             (costs.block() + costs.mix(static_cast<double>(length))) +
         costs.head();
}

int64_t Decoder::used() const {
  int64_t most = 0;
  for (const auto& [id, row] : rows_) most = std::max(most, row.stored);
  return most;
}

void Decoder::reserve(int64_t rows, int64_t tokens) { store_.reserve(rows, tokens, used()); }

int64_t Decoder::add(const Start& start) {
  // If attention reads a single tensor of keys, a prompt that no other row reads is copied into the slot, so
  // it is not gathered again in each step.
  const bool copies = !in_place() && !start.shared;
  const int64_t copied = copies ? start.length : 0;
  const int64_t slot = store_.take(copied + start.tokens, used());
  const auto [row, added] = rows_.emplace(next_id_, Row{start, slot, start.length - copied, copied});
  if (copies) {
    const auto& [table, compiled, tree] = *start.plans;
    for (int64_t block = 0; block < tree.blocks(); ++block) {
      const auto& bypass = table.plans()[tree.plan_of(start.node)][static_cast<size_t>(block)];
      if (!bypass.attention.attends()) continue;
      const auto& prompt = start.prompts->at(block, tree.ancestor(start.node, block));
      auto& own = store_.at(block);
      const auto copy = [&](const at::Tensor& from, at::Tensor& to) {
        to.select(0, slot)
            .narrow(0, 0, copied)
            .copy_(from.select(0, start.row).narrow(1, 0, copied).transpose(0, 1));
      };
      copy(prompt.keys, own.keys);
      copy(prompt.values, own.values);
    }
    row->second.start.prompts.reset();
  }
  return next_id_++;
}

void Decoder::remove(int64_t id) {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return;
  store_.release(found->second.slot);
  rows_.erase(found);
  batch_ = {};
}

void Decoder::arrange(const std::vector<int64_t>& ids) {
  const auto device = model_.device();
  if (batch_.ids != ids) {
    batch_ = {};
    batch_.ids = ids;
    std::vector<int64_t> shared;
    for (const auto id : ids) {
      auto& row = rows_.at(id);
      batch_.rows.push_back(&row);
      shared.push_back(row.shared);
      batch_.longest_shared = std::max(batch_.longest_shared, row.shared);
    }
    batch_.shared = column(shared, device);
    for (int64_t block = 0; block < model_.config().block_count; ++block) {
      std::vector<const CompiledBypass*> bypasses;
      auto& attending = batch_.attending.emplace_back();
      std::map<const KeyValueCache::Entry*, std::pair<std::vector<int64_t>, std::vector<int64_t>>> by_prompt;
      for (int64_t place = 0; place < std::ssize(ids); ++place) {
        const auto& row = *batch_.rows[static_cast<size_t>(place)];
        const auto& [table, compiled, tree] = *row.start.plans;
        bypasses.push_back(&compiled.at(block, table.number(tree.plan_of(row.start.node), block)));
        if (!bypasses.back()->attends()) continue;
        if (row.shared > 0) {
          auto& [places, rows] =
              by_prompt[&row.start.prompts->at(block, tree.ancestor(row.start.node, block))];
          places.push_back(std::ssize(attending));
          rows.push_back(row.start.row);
        }
        attending.push_back(place);
      }
      batch_.bypasses.emplace_back(bypasses, device);
      auto& groups = batch_.groups.emplace_back();
      if (in_place()) continue;
      for (const auto& [prompt, members] : by_prompt) {
        groups.push_back({prompt, at::tensor(members.first, at::kLong).to(device),
                          at::tensor(members.second, at::kLong).to(device)});
      }
    }
  }
  // The capacity of the store may have changed.
  std::vector<int64_t> slots;
  for (const auto* row : batch_.rows) slots.push_back(row->slot * store_.capacity());
  batch_.slots = at::tensor(slots, at::kLong).to(device);
}

at::Tensor Decoder::step(const std::vector<int64_t>& ids, const std::vector<int64_t>& tokens,
                         Control& control) {
  const c10::InferenceMode inference;
  const StepThreads threads(model_.config(), ids.size());
  arrange(ids);
  std::vector<int64_t> row_positions;
  for (const auto* row : batch_.rows) row_positions.push_back(row->position());
  const auto positions = model_.positions(column(row_positions, model_.device()));
  auto stream = model_.embed(column(tokens, model_.device()), positions.values);
  Reader reader(model_, store_, batch_, in_place());
  double operations = 0;
  for (int64_t index = 0; index < model_.config().block_count; ++index) {
    control.check();
    const auto block = model_.block(index);
    reader.set_block(index);
    stream = BlockStep(*block, stream, positions, reader).after(batch_.bypasses[static_cast<size_t>(index)]);
    for (const auto place : batch_.attending[static_cast<size_t>(index)]) {
      const auto length = static_cast<double>(row_positions[static_cast<size_t>(place)] + 1);
      operations += costs_.project() + costs_.mix(length) + costs_.output();
    }
    operations += static_cast<double>(ids.size()) * costs_.mlp();
  }
  for (auto* row : batch_.rows) ++row->stored;
  control.advance(operations);
  return stream.select(1, 0);
}

}  // namespace attention_bypass
