#include "weights/widened_matrices.h"

#include <gtest/gtest.h>

namespace attention_bypass {
namespace {

// A module of this name with a weight of this shape.
torch::jit::Module with_weight(const std::string& name, at::IntArrayRef shape, at::ScalarType type) {
  torch::jit::Module module(name);
  module.register_parameter("weight", at::randn(shape).to(type), false);
  return module;
}

TEST(WidenedMatrices, HoldsExactCopiesAndPutsTheMatricesBack) {
  torch::jit::Module block("Block");
  block.register_module("dense", with_weight("Dense", {3, 4}, at::kBFloat16));
  block.register_module("norm", with_weight("Norm", {4}, at::kBFloat16));
  const auto weight = [&](const char* name) { return block.attr(name).toModule().attr("weight").toTensor(); };
  const auto before = weight("dense");

  const WidenedMatrices matrices({block});
  const auto narrow = matrices.widen();
  EXPECT_EQ(weight("dense").scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(weight("dense"), before.to(at::kFloat)));
  EXPECT_EQ(weight("norm").scalar_type(), at::kBFloat16);

  matrices.restore(narrow);
  EXPECT_TRUE(weight("dense").is_same(before));
}

TEST(WidenedMatrices, OfABlockInTheDtypeOfItsWeightsDoesNothing) {
  const WidenedMatrices none;
  EXPECT_TRUE(none.widen().empty());
  none.restore({});
}

}  // namespace
}  // namespace attention_bypass
