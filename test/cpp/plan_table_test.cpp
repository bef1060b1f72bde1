#include "forward/plan_table.h"

#include <gtest/gtest.h>

#include <set>

#include "plans.h"

namespace attention_bypass {
namespace {

TEST(PlanTable, NumbersTheDifferentBypassesOfEachBlock) {
  const auto plans = random_plans(40, 4, 1);
  const PlanTable table(plans);
  ASSERT_EQ(table.blocks(), 4);
  for (int64_t block = 0; block < table.blocks(); ++block) {
    std::set<std::string> different;
    for (size_t plan = 0; plan < plans.size(); ++plan) {
      const auto expected = text(plans[plan][static_cast<size_t>(block)]);
      const auto number = static_cast<size_t>(table.number(plan, block));
      EXPECT_EQ(text(table.bypasses(block).at(number)), expected);
      different.insert(expected);
    }
    EXPECT_EQ(table.bypasses(block).size(), different.size());
  }
}

TEST(CompiledBypass, HasTheNumbersOfTheBypassedHeads) {
  const auto compiled =
      compile({{BypassMode::zero, {false, true, true, false}, {}}, {}}, at::TensorOptions(at::kFloat));
  EXPECT_TRUE(at::equal(compiled.heads, at::tensor({1, 2}, at::kLong)));
  EXPECT_TRUE(compiled.attends());
  EXPECT_FALSE(compiled.attention_mean.defined());
}

TEST(CompiledBypass, HasMeansInTheDtypeOfTheModel) {
  const auto compiled = compile({{BypassMode::mean, {}, {1, 2.5}}, {BypassMode::mean, {-3, 4}}},
                                at::TensorOptions(at::kBFloat16));
  const auto row = [](double first, double second) {
    return at::tensor({first, second}).view({1, 1, 2}).to(at::kBFloat16);
  };
  EXPECT_TRUE(at::equal(compiled.attention_mean, row(1, 2.5)));
  EXPECT_TRUE(at::equal(compiled.mlp_mean, row(-3, 4)));
  EXPECT_FALSE(compiled.attends());
  EXPECT_FALSE(compiled.heads.defined());
}

}  // namespace
}  // namespace attention_bypass
