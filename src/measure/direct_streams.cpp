#include "measure/direct_streams.h"

namespace attention_bypass {

void DirectStreams::add(const ForwardPass::Observation& seen) {
  if (seen.block < 0 || seen.node != 0) return;
  const int64_t count = seen.stream.size(0);
  const auto& bypasses = plans_.table.bypasses(seen.block);
  // Number 0 is the bypass of the first plan, which is none.
  for (int64_t number = 1; number < std::ssize(bypasses); ++number) {
    const auto& bypass = plans_.compiled.at(seen.block, number);
    auto difference = at::zeros({count, rows_.reads(), seen.stream.size(2)}, seen.stream.options());
    const auto replace = [&](const at::Tensor& output, const at::Tensor& instead) {
      difference -= output.size(1) == rows_.length() ? rows_.read(output, seen.begin) : output;
      if (instead.defined()) difference += instead;
    };
    if (bypass.attention != BypassMode::none) {
      replace(seen.parts.attention, seen.step->attention_output(bypass, /*narrow=*/true));
    }
    if (bypass.mlp != BypassMode::none) replace(seen.parts.mlp, bypass.mlp_mean);
    for (int64_t node = 1; node < plans_.tree.nodes(); ++node) {
      if (plans_.table.number(plans_.tree.plan_of(node), seen.block) != number) continue;
      auto& sum = differences_[static_cast<size_t>(node)];
      if (!sum.defined()) {
        sum = at::zeros({rows_.count(), rows_.reads(), seen.stream.size(2)}, seen.stream.options());
      }
      sum.narrow(0, seen.begin, count) += difference;
    }
  }
}

}  // namespace attention_bypass
