#include "forward/forward_pass.h"

#include <algorithm>

#include "base/device.h"
#include "forward/row_reader.h"

namespace attention_bypass {

int64_t rows_at_once(at::Device device, int64_t length) {
  const int64_t tokens = operators_only(device) ? 16384 : 1024;
  return std::max<int64_t>(1, tokens / length);
}

int64_t rows_at_once(const Model& model, int64_t length, int64_t memory) {
  // On the CPU they take little, and a share of the limit would be too few for fast products.
  const int64_t most = rows_at_once(model.device(), length);
  if (!operators_only(model.device())) return most;
  return std::clamp<int64_t>(memory / 8 / ForwardPass::activation_bytes(model, length), 1, most);
}

int64_t ForwardPass::activation_bytes(const Model& model, int64_t tokens) {
  const auto& config = model.config();
  // An upper bound of the activations of attention (projected, rotated and mixed) and of the MLP.
  const int64_t widest = 12 * config.hidden_size + 2 * config.intermediate_size;
  return tokens * widest * static_cast<int64_t>(sizeof(float));
}

ForwardPass::ForwardPass(const Model& model, const Plans& plans, const PassRows& rows, KeyValueCache* cache,
                         Observer observe, std::optional<int64_t> at_once)
    : model_(model),
      plans_(plans),
      rows_(rows),
      cache_(cache),
      observe_(std::move(observe)),
      costs_(model.config()) {
  const int64_t step = at_once.value_or(rows_at_once(model.device(), rows.length()));
  for (int64_t begin = 0; begin < rows.count(); begin += step) {
    const int64_t count = std::min(step, rows.count() - begin);
    // If all rows have the same positions, one row is enough; masks and rotations are broadcast.
    const int64_t position_rows = rows.uniform ? 1 : count;
    const auto positions = rows.inputs.positions.narrow(0, begin, position_rows);
    const auto keys = rows.inputs.key_positions.narrow(0, begin, position_rows);
    const auto of_slice = [&](const at::Tensor& branches) {
      return branches.defined() ? branches.narrow(0, begin, position_rows) : branches;
    };
    const auto branches = of_slice(rows.inputs.branches);
    slices_.push_back({begin, count, model.positions(positions),
                       Visibility(positions, keys, rows.inputs.even, branches, branches),
                       Visibility(rows.read_positions.narrow(0, begin, position_rows), keys, rows.uniform,
                                  of_slice(rows.read_branches), branches)});
  }
}

double ForwardPass::operations(int64_t index, const PlanTree::Split& split) const {
  const auto all = static_cast<double>(rows_.count() * rows_.length());
  const auto read = static_cast<double>(rows_.count() * rows_.reads());
  const bool parallel = model_.config().parallel_residual;
  double sum = 0;
  bool shares_mlp = false;
  if (split.attends) {
    const double mixed = (split.attends_wide ? all : read) * costs_.mix(static_cast<double>(rows_.length()));
    sum += all * costs_.project() + mixed;
  }
  for (const auto& branch : split.branches) {
    const auto& bypass = plans_.compiled.at(index, branch.bypass);
    const double tokens = branch.narrow ? read : all;
    if (bypass.attends()) {
      sum += tokens * costs_.output();
    } else if (bypass.attention == BypassMode::short_circuit) {
      sum += tokens * costs_.short_circuit();
    }
    if (bypass.mlp != BypassMode::none) continue;
    if (!parallel) sum += tokens * costs_.mlp();
    shares_mlp = parallel;
  }
  if (shares_mlp) sum += (split.all_narrow ? read : all) * costs_.mlp();
  return sum;
}

double ForwardPass::operations() const {
  double sum = 0;
  for (int64_t block = 0; block < plans_.tree.blocks(); ++block) {
    for (const auto& split : plans_.tree.splits(block)) sum += operations(block, split);
  }
  return sum;
}

std::vector<at::Tensor> ForwardPass::run(Control& control) {
  const c10::InferenceMode inference;
  streams_.assign(static_cast<size_t>(plans_.tree.nodes()), at::Tensor());
  streams_.front() = model_.embed(rows_.inputs.ids, rows_.inputs.positions);
  if (observe_) observe_({-1, 0, 0, nullptr, nullptr, {}, streams_.front()});
  if (plans_.tree.narrow_root()) streams_.front() = rows_.read(streams_.front(), 0);
  for (int64_t index = 0; index < plans_.tree.blocks(); ++index) {
    control.check();
    const auto block = model_.block(index, rows_.count() * rows_.length());
    if (cache_ != nullptr) {
      std::vector<int64_t> attending;
      for (const auto& split : plans_.tree.splits(index)) {
        if (split.attends) attending.push_back(split.node);
      }
      cache_->expect(index, std::move(attending));
    }
    for (const auto& split : plans_.tree.splits(index)) pass(*block, index, split, control);
  }
  return std::move(streams_);
}

void ForwardPass::pass(const Block& block, int64_t index, const PlanTree::Split& split, Control& control) {
  const auto in = streams_[static_cast<size_t>(split.node)];
  std::vector<at::Tensor> out;
  for (const auto& branch : split.branches) {
    const bool in_place = branch.node == split.node && branch.narrow == split.narrow;
    const int64_t length = branch.narrow ? rows_.reads() : rows_.length();
    out.push_back(in_place ? in : at::empty({in.size(0), length, in.size(2)}, in.options()));
  }
  const double row_operations = operations(index, split) / static_cast<double>(rows_.count());
  for (auto& slice : slices_) {
    control.check();
    const auto results = branches(block, index, split, slice, in.narrow(0, slice.begin, slice.count));
    // In reverse order: the first branch may overwrite the input, which other results may share memory with.
    for (size_t branch = out.size(); branch-- > 0;) {
      out[branch].narrow(0, slice.begin, slice.count).copy_(results[branch]);
    }
    control.advance(row_operations * static_cast<double>(slice.count));
  }
  for (size_t branch = 0; branch < out.size(); ++branch) {
    streams_[static_cast<size_t>(split.branches[branch].node)] = out[branch];
  }
}

std::vector<at::Tensor> ForwardPass::branches(const Block& block, int64_t index, const PlanTree::Split& split,
                                              Slice& slice, const at::Tensor& stream) {
  RowReader::Store store;
  if (cache_ != nullptr) {
    store = [&](const Projections& own) {
      cache_->store(index, split.node, {rows_.count(), slice.begin, slice.count, {}}, own.keys, own.values);
    };
  }
  RowReader reader(split.attends_wide ? slice.everywhere : slice.where_read, std::move(store));
  const auto read = [&](const at::Tensor& tensor) { return rows_.read(tensor, slice.begin); };
  BlockStep step(block, stream, slice.positions, reader,
                 {read, split.narrow, split.attends, split.attends && !split.attends_wide, split.all_narrow});
  std::vector<at::Tensor> results;
  for (const auto& branch : split.branches) {
    const RowBypasses bypasses(plans_.compiled.at(index, branch.bypass));
    BlockStep::Parts parts;
    results.push_back(step.after(bypasses, branch.narrow, observe_ ? &parts : nullptr));
    if (observe_) observe_({index, branch.node, slice.begin, &block, &step, parts, results.back()});
  }
  return results;
}

}  // namespace attention_bypass
