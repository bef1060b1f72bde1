#include "forward/prompt_pass.h"

#include <algorithm>

#include "forward/row_reader.h"

namespace attention_bypass {

namespace {

// Rows that go through a block together.
struct Slice {
  int64_t begin, count;
  Positions positions;
  Visibility visibility;
  at::Tensor stream;
};

}  // namespace

at::Tensor read_planned_rows(const Model& model, const std::vector<PlannedRow>& rows, KeyValueCache& cache,
                             Control& control) {
  const c10::InferenceMode inference;
  std::vector<PackedRow> packed;
  std::vector<std::vector<int64_t>> last;
  for (const auto& row : rows) {
    packed.emplace_back(*row.tokens);
    last.push_back({std::ssize(*row.tokens) - 1});
  }
  const PassRows inputs(packed, last, model.device());
  const int64_t step = rows_at_once(model.device(), inputs.length());
  std::vector<Slice> slices;
  for (int64_t begin = 0; begin < inputs.count(); begin += step) {
    const int64_t count = std::min(step, inputs.count() - begin);
    const auto positions = inputs.inputs.positions.narrow(0, begin, count);
    slices.push_back(
        {begin, count, model.positions(positions),
         Visibility(positions, inputs.inputs.key_positions.narrow(0, begin, count), inputs.inputs.even),
         model.embed(inputs.inputs.ids.narrow(0, begin, count), positions)});
  }
  for (int64_t index = 0; index < model.config().block_count; ++index) {
    const auto block = model.block(index, inputs.count() * inputs.length());
    for (auto& slice : slices) {
      control.check();
      std::vector<const CompiledBypass*> bypasses;
      for (int64_t row = slice.begin; row < slice.begin + slice.count; ++row) {
        const auto& plans = *rows[static_cast<size_t>(row)].plans;
        bypasses.push_back(&plans.compiled.at(index, plans.table.number(0, index)));
      }
      const RowBypasses of_rows(bypasses, model.device());
      const auto store = [&](const Projections& own) {
        cache.store(index, 0, {inputs.count(), slice.begin, slice.count, of_rows.attending}, own.keys,
                    own.values);
      };
      RowReader reader(slice.visibility, store, of_rows.attending);
      slice.stream = BlockStep(*block, slice.stream, slice.positions, reader).after(of_rows);
    }
  }
  std::vector<at::Tensor> read;
  for (const auto& slice : slices) read.push_back(inputs.read(slice.stream, slice.begin));
  return at::cat(read).select(1, 0);
}

}  // namespace attention_bypass
