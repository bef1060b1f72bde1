#include "plan_tree.h"

#include <algorithm>
#include <map>

namespace attention_bypass {

namespace {

// Whether none of these plans attends from a block on.
bool narrow_from(const std::vector<BypassPlan>& plans, const std::vector<size_t>& members, size_t block) {
  return std::none_of(members.begin(), members.end(), [&](size_t member) {
    const auto& plan = plans[member];
    return std::any_of(plan.begin() + static_cast<std::ptrdiff_t>(block), plan.end(),
                       [](const BlockBypass& bypass) { return bypass.attends(); });
  });
}

}  // namespace

bool PlanTree::Fork::attends() const {
  return std::any_of(branches.begin(), branches.end(),
                     [](const Branch& branch) { return branch.bypass.attends(); });
}

bool PlanTree::Fork::attends_wide() const {
  return std::any_of(branches.begin(), branches.end(),
                     [](const Branch& branch) { return branch.bypass.attends() && !branch.narrow; });
}

bool PlanTree::Fork::all_narrow() const {
  return std::all_of(branches.begin(), branches.end(), [](const Branch& branch) { return branch.narrow; });
}

PlanTree::PlanTree(const std::vector<BypassPlan>& plans) : stem_of_plan_(plans.size(), 0) {
  const size_t blocks = plans.front().size();
  std::vector<std::vector<size_t>> members(1);
  for (size_t plan = 0; plan < plans.size(); ++plan) members.front().push_back(plan);
  std::vector<std::vector<int64_t>> stem_before(blocks);  // of each plan
  for (size_t block = 0; block < blocks; ++block) {
    stem_before[block] = stem_of_plan_;
    auto& forks = forks_.emplace_back();
    const size_t stems = members.size();
    for (size_t stem = 0; stem < stems; ++stem) {
      std::map<BlockBypass, std::vector<size_t>> parts;
      for (const auto member : members[stem]) parts[plans[member][block]].push_back(member);
      Fork fork{static_cast<int64_t>(stem), narrow_from(plans, members[stem], block), {}};
      for (const auto& [bypass, part] : parts) {
        const size_t number = fork.branches.empty() ? stem : members.size();
        fork.branches.push_back({bypass, static_cast<int64_t>(number), narrow_from(plans, part, block + 1)});
        for (const auto member : part) stem_of_plan_[member] = static_cast<int64_t>(number);
        if (number == members.size()) members.emplace_back();
        members[number] = part;
      }
      forks.push_back(std::move(fork));
    }
  }
  for (const auto& part : members) plans_.push_back(plans[part.front()]);
  for (const auto& before : stem_before) {
    auto& ancestors = ancestors_.emplace_back();
    for (const auto& part : members) ancestors.push_back(before[part.front()]);
  }
}

}  // namespace attention_bypass
