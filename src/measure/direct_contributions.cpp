#include "measure/direct_contributions.h"

namespace attention_bypass {

DirectContributions::DirectContributions(const Model& model, const PlanTree& tree, const PassRows& rows,
                                         const at::Tensor& targets)
    : tree_(tree),
      rows_(rows),
      parts_(static_cast<size_t>(tree.blocks()), std::vector<at::Tensor>(static_cast<size_t>(tree.nodes()))) {
  const auto& norm = model.architecture().final_norm;
  const auto embedded = model.output_embedding(targets);
  shift_ = (embedded * norm.shift()).sum({-1}, /*keepdim=*/false, at::kDouble);
  // The norm centres the stream. Centring the direction instead gives the same product.
  directions_ = embedded * norm.scale();
  directions_ -= directions_.mean({-1}, /*keepdim=*/true);
}

at::Tensor DirectContributions::product(const at::Tensor& output, int64_t begin, int64_t count) const {
  const auto read = output.size(1) == rows_.length() ? rows_.read(output, begin) : output;
  return (read * directions_.narrow(0, begin, count)).sum({-1}, /*keepdim=*/false, at::kDouble);
}

void DirectContributions::add(const ForwardPass::Observation& seen) {
  if (seen.block < 0) {
    embedding_ = product(seen.stream, 0, rows_.count());
    return;
  }
  auto& both = parts_[static_cast<size_t>(seen.block)][static_cast<size_t>(seen.node)];
  if (!both.defined()) {
    both = at::zeros({2, rows_.count(), rows_.reads()}, directions_.options().dtype(at::kDouble));
  }
  const int64_t count = seen.stream.size(0);
  const auto set = [&](int64_t part, const at::Tensor& output) {
    if (!output.defined()) return;
    both.select(0, part).narrow(0, seen.begin, count).copy_(product(output, seen.begin, count));
  };
  set(0, seen.parts.attention);
  set(1, seen.parts.mlp);
}

at::Tensor DirectContributions::of_node(int64_t node) const {
  std::vector<at::Tensor> products = {embedding_.unsqueeze(0)};
  for (int64_t block = 0; block < tree_.blocks(); ++block) {
    products.push_back(parts_[static_cast<size_t>(block)][static_cast<size_t>(tree_.leaving(node, block))]);
  }
  return at::cat(products);
}

}  // namespace attention_bypass
