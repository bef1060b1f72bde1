#include "forward/plan_tree.h"

#include <gtest/gtest.h>

#include <set>

#include "plans.h"

namespace attention_bypass {
namespace {

// The residual streams of a tree, each as the text of the bypasses that it has gone through: of each block,
// the streams that enter it; at the end, those after the last block.
std::vector<std::vector<std::string>> streams_of(const PlanTable& table, const PlanTree& tree) {
  std::vector<std::vector<std::string>> streams = {
      std::vector<std::string>(static_cast<size_t>(tree.nodes()))};
  for (int64_t block = 0; block < tree.blocks(); ++block) {
    const auto& entering = streams.back();
    auto leaving = entering;
    for (const auto& split : tree.splits(block)) {
      for (const auto& branch : split.branches) {
        leaving.at(static_cast<size_t>(branch.node)) =
            entering.at(static_cast<size_t>(split.node)) +
            text(table.bypasses(block).at(static_cast<size_t>(branch.bypass)));
      }
    }
    streams.push_back(leaving);
  }
  return streams;
}

std::set<std::string> different_beginnings(const std::vector<BypassPlan>& plans, size_t blocks) {
  std::set<std::string> beginnings;
  for (const auto& plan : plans) beginnings.insert(text(plan, blocks));
  return beginnings;
}

// Whether a plan that begins like this attends in a block from `from` on.
bool some_plan_attends(const std::vector<BypassPlan>& plans, const std::string& beginning, size_t blocks,
                       size_t from) {
  for (const auto& plan : plans) {
    if (text(plan, blocks) != beginning) continue;
    for (size_t block = from; block < plan.size(); ++block) {
      const auto& attention = plan[block].attention;
      if (attention.mode == BypassMode::none || !attention.heads.empty()) return true;
    }
  }
  return false;
}

class PlanTrees : public testing::TestWithParam<uint64_t> {
 protected:
  static constexpr size_t blocks = 5;
  const std::vector<BypassPlan> plans = random_plans(30, blocks, GetParam());
  const PlanTable table{plans};
  const PlanTree tree{table};
  const std::vector<std::vector<std::string>> streams = streams_of(table, tree);
};

TEST_P(PlanTrees, TakeEachPlanThroughItsOwnBypasses) {
  for (size_t plan = 0; plan < plans.size(); ++plan) {
    EXPECT_EQ(streams.back().at(static_cast<size_t>(tree.node_of(plan))), text(plans[plan], blocks));
  }
  for (int64_t node = 0; node < tree.nodes(); ++node) {
    EXPECT_EQ(tree.node_of(tree.plan_of(node)), node);
  }
}

TEST_P(PlanTrees, ComputeWhatPlansShareOnce) {
  EXPECT_EQ(static_cast<size_t>(tree.nodes()), different_beginnings(plans, blocks).size());
  for (size_t block = 0; block < blocks; ++block) {
    const auto& splits = tree.splits(static_cast<int64_t>(block));
    EXPECT_EQ(splits.size(), different_beginnings(plans, block).size());
    size_t branches = 0;
    for (const auto& split : splits) {
      EXPECT_EQ(split.branches.front().node, split.node);
      branches += split.branches.size();
    }
    EXPECT_EQ(branches, different_beginnings(plans, block + 1).size());
  }
}

TEST_P(PlanTrees, KnowTheAncestorsOfANode) {
  for (int64_t node = 0; node < tree.nodes(); ++node) {
    for (size_t block = 0; block < blocks; ++block) {
      const auto ancestor = static_cast<size_t>(tree.ancestor(node, static_cast<int64_t>(block)));
      EXPECT_EQ(streams[block].at(ancestor), text(plans[tree.plan_of(node)], block));
      const auto leaving = static_cast<size_t>(tree.leaving(node, static_cast<int64_t>(block)));
      EXPECT_EQ(streams[block + 1].at(leaving), text(plans[tree.plan_of(node)], block + 1));
    }
  }
}

TEST_P(PlanTrees, AreNarrowWhereNoPlanAttendsLater) {
  EXPECT_EQ(tree.narrow_root(), !some_plan_attends(plans, "", 0, 0));
  for (size_t block = 0; block < blocks; ++block) {
    const auto number = static_cast<int64_t>(block);
    for (const auto& split : tree.splits(number)) {
      const auto& entering = streams[block].at(static_cast<size_t>(split.node));
      EXPECT_EQ(split.narrow, !some_plan_attends(plans, entering, block, block));
      bool attends = false, attends_wide = false, all_narrow = true;
      for (const auto& branch : split.branches) {
        const auto& leaving = streams[block + 1].at(static_cast<size_t>(branch.node));
        const bool narrow = !some_plan_attends(plans, leaving, block + 1, block + 1);
        EXPECT_EQ(branch.narrow, narrow);
        const auto& attention = table.bypasses(number).at(static_cast<size_t>(branch.bypass)).attention;
        const bool here = attention.mode == BypassMode::none || !attention.heads.empty();
        attends = attends || here;
        attends_wide = attends_wide || (here && !narrow);
        all_narrow = all_narrow && narrow;
      }
      EXPECT_EQ(split.attends, attends);
      EXPECT_EQ(split.attends_wide, attends_wide);
      EXPECT_EQ(split.all_narrow, all_narrow);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanTrees, testing::Range(uint64_t{0}, uint64_t{10}));

TEST(PlanTree, OfOnePlanIsAPath) {
  const PlanTable table({BypassPlan(3)});
  const PlanTree tree(table);
  EXPECT_EQ(tree.nodes(), 1);
  EXPECT_FALSE(tree.narrow_root());
  for (int64_t block = 0; block < 3; ++block) {
    ASSERT_EQ(tree.splits(block).size(), 1);
    EXPECT_EQ(tree.splits(block).front().branches.size(), 1);
    EXPECT_EQ(tree.splits(block).front().branches.front().narrow, block == 2);
  }
}

TEST(PlanTree, IsNarrowFromTheStartIfNoBlockAttends) {
  const BlockBypass zero{{BypassMode::zero, {}, {}}, {}};
  EXPECT_TRUE(PlanTree(PlanTable({BypassPlan(3, zero)})).narrow_root());
  EXPECT_FALSE(PlanTree(PlanTable({BypassPlan(3, zero), {zero, zero, {}}})).narrow_root());
}

}  // namespace
}  // namespace attention_bypass
