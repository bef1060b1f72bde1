#include "walk.h"

#include <algorithm>

#include "head_bypass.h"

namespace attention_bypass {

namespace {

// Tokens that go through a block together: enough for products to run at full speed, and few enough for what
// lies between them to stay near the processor.
int64_t tokens_at_once(at::Device device) { return device.is_cpu() ? 1024 : 16384; }

int64_t rows_at_once(at::Device device, int64_t length) {
  return std::max<int64_t>(1, tokens_at_once(device) / length);
}

}  // namespace

int64_t Walk::slice_bytes(const Model& model, int64_t length) {
  const auto& config = model.config();
  const int64_t tokens = length * rows_at_once(model.device(), length);
  // Queries, keys and values as they are projected, turned and mixed, or the MLP within and what it gives.
  const int64_t widest = 12 * config.hidden_size + 2 * config.intermediate_size;
  return tokens * widest * static_cast<int64_t>(sizeof(float));
}

Walk::Walk(const Model& model, const PlanTree& tree, const ScoredRows& rows, PromptCache* cache)
    : model_(model), tree_(tree), rows_(rows), cache_(cache), costs_(model.config()) {
  const int64_t step = rows_at_once(model.device(), rows.length());
  for (int64_t begin = 0; begin < rows.count(); begin += step) {
    const int64_t count = std::min(step, rows.count() - begin);
    // Where rows agree, one of them stands for all.
    const int64_t told = rows.uniform ? 1 : count;
    const auto positions = rows.inputs.positions.narrow(0, begin, told);
    const auto keys = rows.inputs.key_positions.narrow(0, begin, told);
    const auto of_slice = [&](const at::Tensor& branches) {
      return branches.defined() ? branches.narrow(0, begin, told) : branches;
    };
    const auto branches = of_slice(rows.inputs.branches);
    slices_.push_back({begin, count, model.rotation(positions),
                       Visibility(positions, keys, rows.inputs.even, branches, branches),
                       Visibility(rows.read_positions.narrow(0, begin, told), keys, rows.uniform,
                                  of_slice(rows.read_branches), branches)});
  }
}

double Walk::operations(const PlanTree::Fork& fork) const {
  const auto all = static_cast<double>(rows_.count() * rows_.length());
  const auto read = static_cast<double>(rows_.count() * rows_.reads());
  double sum = 0;
  if (fork.attends()) {
    const double mixed = (fork.attends_wide() ? all : read) * costs_.mix(static_cast<double>(rows_.length()));
    sum += all * costs_.project() + mixed;
  }
  for (const auto& branch : fork.branches) {
    const double tokens = branch.narrow ? read : all;
    if (branch.bypass.attends()) {
      sum += tokens * costs_.output();
    } else if (branch.bypass.mode == BypassMode::short_circuit) {
      sum += tokens * costs_.short_circuit();
    }
    if (!model_.parallel_residual()) sum += tokens * costs_.mlp();
  }
  if (model_.parallel_residual()) sum += (fork.all_narrow() ? read : all) * costs_.mlp();
  return sum;
}

double Walk::operations() const {
  double sum = 0;
  for (int64_t block = 0; block < tree_.blocks(); ++block) {
    for (const auto& fork : tree_.forks(block)) sum += operations(fork);
  }
  return sum;
}

std::vector<at::Tensor> Walk::run(Control& control) {
  streams_.assign(static_cast<size_t>(tree_.stems()), at::Tensor());
  streams_.front() = model_.embed(rows_.inputs.ids, rows_.inputs.positions);
  if (tree_.narrow_root()) streams_.front() = rows_.read(streams_.front(), 0);
  for (int64_t index = 0; index < tree_.blocks(); ++index) {
    const auto block = model_.block(index);
    for (const auto& fork : tree_.forks(index)) pass(block, index, fork, control);
  }
  return std::move(streams_);
}

void Walk::pass(const Model::BlockAtWork& block, int64_t index, const PlanTree::Fork& fork,
                Control& control) {
  const auto in = streams_[static_cast<size_t>(fork.stem)];
  std::vector<at::Tensor> out;
  for (const auto& branch : fork.branches) {
    const bool in_place = branch.stem == fork.stem && branch.narrow == fork.narrow;
    const int64_t length = branch.narrow ? rows_.reads() : rows_.length();
    out.push_back(in_place ? in : at::empty({in.size(0), length, in.size(2)}, in.options()));
  }
  const double row_operations = operations(fork) / static_cast<double>(rows_.count());
  for (auto& slice : slices_) {
    control.check();
    const auto results = branches(block, index, fork, slice, in.narrow(0, slice.begin, slice.count));
    for (size_t branch = 0; branch < out.size(); ++branch) {
      out[branch].narrow(0, slice.begin, slice.count).copy_(results[branch]);
    }
    control.advance(row_operations * static_cast<double>(slice.count));
  }
  for (size_t branch = 0; branch < out.size(); ++branch) {
    streams_[static_cast<size_t>(fork.branches[branch].stem)] = out[branch];
  }
}

Walk::Attention Walk::attend(const Model::BlockAtWork& block, int64_t index, const PlanTree::Fork& fork,
                             Slice& slice, const at::Tensor& hidden) {
  const auto normed = block->normed(hidden);
  auto projections = block->project(normed, slice.rotation);
  if (cache_ != nullptr) {
    cache_->store(index, fork.stem, rows_.count(), slice.begin, projections.keys, projections.values);
  }
  const bool wide = fork.attends_wide();
  if (!wide) projections.queries = rows_.read(projections.queries, slice.begin);
  const auto& rule = (wide ? slice.everywhere : slice.where_read).within(block->window());
  return {normed, projections.values, block->mix(projections, rule), wide};
}

std::vector<at::Tensor> Walk::branches(const Model::BlockAtWork& block, int64_t index,
                                       const PlanTree::Fork& fork, Slice& slice, const at::Tensor& hidden) {
  const auto narrowed = [&](const at::Tensor& stream, bool narrow) {
    return narrow && !fork.narrow ? rows_.read(stream, slice.begin) : stream;
  };
  const auto attention = fork.attends() ? attend(block, index, fork, slice, hidden) : Attention();
  // Beside each other, attention and MLP see the same stream, so that branches share the MLP.
  at::Tensor common;
  if (model_.parallel_residual()) {
    const auto stream = narrowed(hidden, fork.all_narrow());
    common = stream + block->mlp(stream);
  }
  std::vector<at::Tensor> results;
  for (const auto& branch : fork.branches) {
    const auto contribution = [&] {
      if (!branch.bypass.attends()) {
        return block->bypassed(branch.bypass, [&] {
          return fork.attends() ? narrowed(attention.normed, branch.narrow)
                                : block->normed(narrowed(hidden, branch.narrow));
        });
      }
      const auto own = [&](const at::Tensor& tensor, bool wide) {
        return branch.narrow && wide ? rows_.read(tensor, slice.begin) : tensor;
      };
      const auto mixed = own(attention.mixed, attention.wide);
      if (branch.bypass.heads.empty()) return block->output(mixed);
      return block->output(bypass_heads(branch.bypass, mixed, own(attention.values, true)));
    }();
    auto stream = model_.parallel_residual() ? narrowed(common, branch.narrow && !fork.all_narrow())
                                             : narrowed(hidden, branch.narrow);
    if (contribution.defined()) stream = stream + contribution;
    if (!model_.parallel_residual()) stream = stream + block->mlp(stream);
    results.push_back(stream);
  }
  return results;
}

}  // namespace attention_bypass
