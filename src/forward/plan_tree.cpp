#include "forward/plan_tree.h"

#include <algorithm>
#include <map>

namespace attention_bypass {

namespace {

// Returns whether no plan attends in this block or a later one.
bool narrow_from(const PlanTable& table, const std::vector<size_t>& members, size_t block) {
  return std::none_of(members.begin(), members.end(), [&](size_t member) {
    const auto& plan = table.plans()[member];
    return std::any_of(plan.begin() + static_cast<std::ptrdiff_t>(block), plan.end(),
                       [](const BlockBypass& bypass) { return bypass.attention.attends(); });
  });
}

}  // namespace

PlanTree::PlanTree(const PlanTable& table) : node_of_plan_(table.plans().size(), 0) {
  const auto blocks = static_cast<size_t>(table.blocks());
  std::vector<std::vector<size_t>> members(1);
  for (size_t plan = 0; plan < table.plans().size(); ++plan) members.front().push_back(plan);
  std::vector<std::vector<int64_t>> node_before(blocks);  // [block][plan]
  for (size_t block = 0; block < blocks; ++block) {
    const auto number = static_cast<int64_t>(block);
    node_before[block] = node_of_plan_;
    auto& splits = splits_.emplace_back();
    const size_t nodes = members.size();
    for (size_t node = 0; node < nodes; ++node) {
      std::map<int64_t, std::vector<size_t>> parts;
      for (const auto member : members[node]) parts[table.number(member, number)].push_back(member);
      Split split{
          static_cast<int64_t>(node), narrow_from(table, members[node], block), {}, false, false, true};
      for (const auto& [bypass, part] : parts) {
        const size_t next = split.branches.empty() ? node : members.size();
        const bool narrow = narrow_from(table, part, block + 1);
        const bool attends = table.bypasses(number)[static_cast<size_t>(bypass)].attention.attends();
        split.branches.push_back({bypass, static_cast<int64_t>(next), narrow});
        split.attends = split.attends || attends;
        split.attends_wide = split.attends_wide || (attends && !narrow);
        split.all_narrow = split.all_narrow && narrow;
        for (const auto member : part) node_of_plan_[member] = static_cast<int64_t>(next);
        if (next == members.size()) members.emplace_back();
        members[next] = part;
      }
      splits.push_back(std::move(split));
    }
  }
  for (const auto& part : members) plan_of_node_.push_back(part.front());
  for (const auto& before : node_before) {
    auto& ancestors = ancestors_.emplace_back();
    for (const auto& part : members) ancestors.push_back(before[part.front()]);
  }
}

}  // namespace attention_bypass
