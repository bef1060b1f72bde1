#include "forward/plan_table.h"

#include <map>

#include "base/transfer.h"

namespace attention_bypass {

PlanTable::PlanTable(std::vector<BypassPlan> plans)
    : plans_(std::move(plans)), numbers_(plans_.size()), bypasses_(plans_.front().size()) {
  for (size_t block = 0; block < bypasses_.size(); ++block) {
    std::map<BlockBypass, int64_t> known;
    for (size_t plan = 0; plan < plans_.size(); ++plan) {
      const auto& bypass = plans_[plan][block];
      const auto [found, fresh] = known.emplace(bypass, std::ssize(bypasses_[block]));
      if (fresh) bypasses_[block].push_back(bypass);
      numbers_[plan].push_back(found->second);
    }
  }
}

CompiledBypass compile(const BlockBypass& bypass, const at::TensorOptions& options) {
  const auto row = [&options](const std::vector<float>& mean) {
    return at::tensor(mean, at::kFloat).to(options).view({1, 1, -1});
  };
  CompiledBypass compiled;
  compiled.attention = bypass.attention.mode;
  if (!bypass.attention.heads.empty()) {
    std::vector<int64_t> heads;
    for (size_t head = 0; head < bypass.attention.heads.size(); ++head) {
      if (bypass.attention.heads[head]) heads.push_back(static_cast<int64_t>(head));
    }
    compiled.heads = to_device(heads, options.device());
  }
  if (bypass.attention.mode == BypassMode::mean) compiled.attention_mean = row(bypass.attention.mean);
  compiled.mlp = bypass.mlp.mode;
  if (bypass.mlp.mode == BypassMode::mean) compiled.mlp_mean = row(bypass.mlp.mean);
  return compiled;
}

CompiledPlans::CompiledPlans(const PlanTable& table, const at::TensorOptions& options) {
  for (int64_t block = 0; block < table.blocks(); ++block) {
    auto& compiled = bypasses_.emplace_back();
    for (const auto& bypass : table.bypasses(block)) compiled.push_back(compile(bypass, options));
  }
}

}  // namespace attention_bypass
