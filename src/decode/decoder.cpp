#include "decode/decoder.h"

#include <algorithm>
#include <utility>

#include "base/device.h"
#include "base/launches.h"
#include "base/transfer.h"
#include "decode/host_reader.h"
#include "decode/step_threads.h"

namespace attention_bypass {

namespace {

// A step reads this many tokens of each slot, or a multiple, so that most steps read as many as the one
// before and their launches can be replayed.
constexpr int64_t tokens_step = 64;

}  // namespace

Decoder::Decoder(const Model& model)
    : model_(model),
      costs_(model.config()),
      store_(model.config(), model.arithmetic(), !on_host()),
      graph_(model.device()) {}

bool Decoder::computes_slots(const Model& model) {
  const auto type = c10::typeMetaToScalarType(model.arithmetic().dtype());
  return operators_only(model.device()) || (type != at::kFloat && type != at::kBFloat16);
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

void Decoder::reserve(int64_t rows, int64_t tokens) {
  batch_ = {};
  store_.reserve(rows, tokens, used());
}

int64_t Decoder::add(const Start& start) {
  // A device reads the keys and values of a row's slot in place, so a prompt that no other row reads is
  // copied there.
  const bool copies = !on_host() && !start.shared;
  const int64_t copied = copies ? start.length : 0;
  batch_ = {};
  const int64_t slot = store_.take(copied + start.tokens, used());
  const auto [row, added] = rows_.emplace(
      next_id_,
      DecodingRow{start.plans, start.prompts, start.row, start.node, slot, start.length - copied, copied});
  if (copies) {
    try {
      copy_prompt(row->second);
    } catch (...) {
      store_.release(slot);
      rows_.erase(row);
      throw;
    }
    row->second.prompts.reset();
  }
  return next_id_++;
}

void Decoder::copy_prompt(const DecodingRow& row) {
  for (int64_t block = 0; block < row.plans->tree.blocks(); ++block) {
    if (!row.bypass(block).attends()) continue;
    const auto& prompt = row.prompts->at(block, row.prompt_node(block));
    const auto& own = store_.at(block);
    const auto copy = [&row](const at::Tensor& from, const at::Tensor& to) {
      const auto tokens = from.select(0, row.prompt_row).narrow(1, 0, row.stored).transpose(0, 1);
      count_key_values(tokens);
      to.select(0, row.slot).narrow(0, 0, row.stored).copy_(tokens);
    };
    copy(prompt.keys, own.keys);
    copy(prompt.values, own.values);
  }
}

void Decoder::remove(int64_t id) {
  const auto found = rows_.find(id);
  if (found == rows_.end()) return;
  store_.release(found->second.slot);
  rows_.erase(found);
  batch_ = {};
}

void Decoder::arrange(const std::vector<int64_t>& ids) {
  if (batch_.ids == ids && !batch_.rows.empty()) return;
  batch_ = {};
  batch_.ids = ids;
  if (on_host()) {
    for (const auto id : ids) batch_.rows.push_back(&rows_.at(id));
    compile_bypasses();
  } else {
    arrange_slots();
  }
}

void Decoder::arrange_slots() {
  int64_t slots = 0;
  for (const auto id : batch_.ids) slots = std::max(slots, rows_.at(id).slot + 1);
  batch_.rows.assign(static_cast<size_t>(slots), nullptr);
  bool same = slots == std::ssize(batch_.ids);
  for (const auto id : batch_.ids) {
    auto& row = rows_.at(id);
    same = same && static_cast<size_t>(row.slot) == batch_.places.size();
    batch_.places.push_back(static_cast<size_t>(row.slot));
    batch_.rows[static_cast<size_t>(row.slot)] = &row;
  }
  std::vector<int64_t> waiting(static_cast<size_t>(slots));
  for (const auto& [id, row] : rows_) {
    if (row.slot < slots) waiting[static_cast<size_t>(row.slot)] = row.stored;
  }
  if (!same) {
    batch_.order =
        to_device(std::vector<int64_t>(batch_.places.begin(), batch_.places.end()), model_.device());
  }
  compile_bypasses();
  batch_.on_device = std::make_unique<DeviceRows>(model_, store_, batch_.rows, waiting);
}

void Decoder::compile_bypasses() {
  const auto& first = **std::find_if(batch_.rows.begin(), batch_.rows.end(),
                                     [](const DecodingRow* row) { return row != nullptr; });
  for (int64_t block = 0; block < model_.config().block_count; ++block) {
    std::vector<const CompiledBypass*> bypasses;
    auto& attending = batch_.attending.emplace_back();
    for (size_t place = 0; place < batch_.rows.size(); ++place) {
      const auto* row = batch_.rows[place];
      // A row that is not decoded is computed like another.
      bypasses.push_back(&(row == nullptr ? first : *row).bypass(block));
      if (row != nullptr && bypasses.back()->attends()) attending.push_back(static_cast<int64_t>(place));
    }
    batch_.bypasses.emplace_back(bypasses, model_.device(), /*dense=*/!on_host());
  }
}

at::Tensor Decoder::step(const std::vector<int64_t>& ids, const std::vector<int64_t>& tokens,
                         Control& control) {
  const c10::InferenceMode inference;
  const StepThreads threads(model_.config(), ids.size());
  arrange(ids);
  at::Tensor stream;
  if (on_host()) {
    stream = step_on_host(tokens, control);
  } else {
    set_tokens(tokens);
    stream = step_on_device(control);
  }
  advance_rows(control);
  return stream.select(1, 0);
}

at::Tensor Decoder::step(const std::vector<int64_t>& ids, const at::Tensor& tokens, Control& control) {
  const c10::InferenceMode inference;
  const StepThreads threads(model_.config(), ids.size());
  try {
    arrange(ids);
    set_tokens(tokens);
    const auto stream = step_on_device(control).select(1, 0);
    advance_rows(control);
    return stream;
  } catch (...) {
    batch_ = {};
    throw;
  }
}

void Decoder::undo(const std::vector<int64_t>& ids) {
  for (const auto id : ids) {
    const auto found = rows_.find(id);
    if (found != rows_.end()) --found->second.stored;
  }
  batch_ = {};
}

void Decoder::advance_rows(Control& control) {
  count_decoding_step(std::ssize(batch_.rows));
  const double operations = operations_of_step();
  for (auto* row : batch_.rows) {
    if (row != nullptr) ++row->stored;
  }
  control.advance(operations);
}

at::Tensor Decoder::step_on_host(const std::vector<int64_t>& tokens, Control& control) {
  std::vector<int64_t> places;
  for (const auto* row : batch_.rows) places.push_back(row->position());
  const auto positions = model_.positions(at::tensor(places, at::kLong).unsqueeze(1));
  HostReader reader(model_, store_, batch_.rows, batch_.attending);
  return through_blocks(model_.embed(at::tensor(tokens, at::kLong).unsqueeze(1), positions.values), positions,
                        reader, [&control] { control.check(); });
}

void Decoder::set_tokens(const std::vector<int64_t>& tokens) {
  std::vector<int64_t> of_rows(batch_.rows.size());
  for (size_t index = 0; index < tokens.size(); ++index) of_rows[batch_.places[index]] = tokens[index];
  if (!batch_.tokens.defined()) {
    batch_.tokens = at::empty({std::ssize(of_rows), 1}, at::TensorOptions(at::kLong).device(model_.device()));
  }
  copy_to_device(of_rows, batch_.tokens);
}

void Decoder::set_tokens(const at::Tensor& tokens) {
  if (batch_.order.defined()) {
    if (!batch_.tokens.defined()) batch_.tokens = at::zeros({std::ssize(batch_.rows), 1}, tokens.options());
    batch_.tokens.squeeze(1).index_copy_(0, batch_.order, tokens);
  } else if (!batch_.tokens.defined() || batch_.tokens.const_data_ptr() != tokens.const_data_ptr()) {
    batch_.tokens = tokens.unsqueeze(1);
    graph_.change();
  }
}

at::Tensor Decoder::step_on_device(Control& control) {
  control.check();
  int64_t longest = 0;
  for (const auto* row : batch_.rows) {
    if (row != nullptr) longest = std::max(longest, row->stored + 1);
  }
  longest = std::min(store_.capacity(), (longest + tokens_step - 1) / tokens_step * tokens_step);
  // 0 in a new batch.
  if (longest != batch_.longest) graph_.change();
  batch_.longest = longest;
  auto& rows = *batch_.on_device;
  // A step is short, so an abort waits for its end, unless the blocks are read from files.
  const auto before_block = [&control, offloaded = model_.offloaded()] {
    if (offloaded) control.check();
  };
  const auto compute = [&] {
    rows.begin(longest);
    const auto positions = model_.positions(rows.positions());
    const auto stream =
        through_blocks(model_.embed(batch_.tokens, positions.values), positions, rows, before_block);
    rows.advance();
    return stream;
  };
  const auto stream = model_.offloaded() ? compute() : graph_.run(compute);
  return batch_.order.defined() ? stream.index_select(0, batch_.order) : stream;
}

at::Tensor Decoder::through_blocks(at::Tensor stream, const Positions& positions, DecodingReader& reader,
                                   const std::function<void()>& before_block) {
  for (int64_t index = 0; index < model_.config().block_count; ++index) {
    before_block();
    const auto block = model_.block(index, stream.size(0) * stream.size(1));
    reader.set_block(index);
    stream = BlockStep(*block, stream, positions, reader).after(batch_.bypasses[static_cast<size_t>(index)]);
  }
  return stream;
}

double Decoder::operations_of_step() const {
  double operations = 0;
  for (const auto& attending : batch_.attending) {
    for (const auto place : attending) {
      const auto length = static_cast<double>(batch_.rows[static_cast<size_t>(place)]->position() + 1);
      operations += costs_.project() + costs_.mix(length) + costs_.output();
    }
    operations += static_cast<double>(batch_.ids.size()) * costs_.mlp();
  }
  return operations;
}

}  // namespace attention_bypass
