#include "weights/stored_tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "error_code.h"
#include "temporary_file.h"

namespace attention_bypass {
namespace {

constexpr at::ScalarType floating[] = {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16};

// 0, 1, 2, ... below 256, which every type here holds exactly.
template <typename Number>
std::vector<Number> counting(size_t count) {
  std::vector<Number> numbers(count);
  for (size_t index = 0; index < count; ++index) numbers[index] = static_cast<Number>(index % 256);
  return numbers;
}

StoredTensor stored(const TemporaryFile& file, at::ScalarType type, std::vector<int64_t> shape,
                    std::vector<int64_t> strides) {
  const auto opened = file.open();
  return {"tensor", type, std::move(shape), std::move(strides), opened, 0, opened->size(), false};
}

std::vector<double> values(const at::Tensor& tensor) {
  const auto flat = tensor.to(at::kDouble).contiguous();
  const auto* begin = flat.const_data_ptr<double>();
  return {begin, begin + flat.numel()};
}

template <typename Number>
void read_as_every_type(at::ScalarType type) {
  const TemporaryFile file(counting<Number>(24));
  const auto tensor = stored(file, type, {4, 6}, {6, 1});
  tensor.validate();
  for (const auto as : floating) {
    const auto read = tensor.read(as);
    EXPECT_EQ(read.scalar_type(), as);
    EXPECT_EQ(read.sizes(), at::IntArrayRef({4, 6}));
    EXPECT_EQ(values(read), counting<double>(24)) << type << " as " << as;
  }
}

TEST(StoredTensor, ConvertsWhatItReads) {
  read_as_every_type<float>(at::kFloat);
  read_as_every_type<double>(at::kDouble);
  read_as_every_type<at::Half>(at::kHalf);
  read_as_every_type<at::BFloat16>(at::kBFloat16);
  read_as_every_type<int64_t>(at::kLong);
  read_as_every_type<int32_t>(at::kInt);
  read_as_every_type<int16_t>(at::kShort);
  read_as_every_type<uint8_t>(at::kByte);
}

// More than are read at once, and no multiple of that.
TEST(StoredTensor, ReadsLargeTensorsInParts) {
  constexpr size_t count = (1 << 19) + 5;
  const TemporaryFile file(counting<float>(count));
  const auto tensor = stored(file, at::kFloat, {count}, {1});
  EXPECT_EQ(values(tensor.read(at::kFloat)), counting<double>(count));
  EXPECT_EQ(values(tensor.read(at::kBFloat16)), counting<double>(count));
}

TEST(StoredTensor, ReadsItsOwnRangeOfTheFile) {
  const TemporaryFile file(counting<float>(10));
  auto tensor = stored(file, at::kFloat, {3}, {1});
  tensor.begin = 4 * sizeof(float);
  tensor.end = 7 * sizeof(float);
  tensor.validate();
  EXPECT_EQ(values(tensor.read(at::kFloat)), (std::vector<double>{4, 5, 6}));
}

TEST(StoredTensor, ReadsRows) {
  const TemporaryFile file(counting<float>(12));
  for (const auto as : floating) {
    const auto tensor = stored(file, at::kFloat, {4, 3}, {3, 1});
    EXPECT_EQ(values(tensor.read_rows(1, 2, as)), (std::vector<double>{3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(values(tensor.read_rows({3, 0, 3}, as)), (std::vector<double>{9, 10, 11, 0, 1, 2, 9, 10, 11}));
  }
}

TEST(StoredTensor, ReadsATransposedMatrix) {
  const TemporaryFile file(counting<float>(12));
  const auto tensor = stored(file, at::kFloat, {3, 4}, {1, 3});
  tensor.validate();
  const std::vector<double> expected = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11};
  for (const auto as : floating) {
    EXPECT_EQ(values(tensor.read(as)), expected);
    EXPECT_EQ(values(tensor.read_rows(1, 1, as)), (std::vector<double>{1, 4, 7, 10}));
    EXPECT_EQ(values(tensor.read_rows({2, 1}, as)), (std::vector<double>{2, 5, 8, 11, 1, 4, 7, 10}));
  }
}

TEST(StoredTensor, SkipsWhatLiesBetweenRows) {
  const TemporaryFile file(counting<float>(12));
  const auto tensor = stored(file, at::kFloat, {3, 2}, {4, 1});
  tensor.validate();
  EXPECT_EQ(values(tensor.read(at::kFloat)), (std::vector<double>{0, 1, 4, 5, 8, 9}));
  EXPECT_EQ(values(tensor.read_rows(1, 2, at::kFloat)), (std::vector<double>{4, 5, 8, 9}));
}

TEST(StoredTensor, AcceptsScalarsAndEmptyTensors) {
  const TemporaryFile file(counting<float>(1));
  const auto scalar = stored(file, at::kFloat, {}, {});
  scalar.validate();
  EXPECT_EQ(values(scalar.read(at::kFloat)), std::vector<double>{0});
  const auto empty = stored(file, at::kFloat, {5, 0}, {0, 1});
  empty.validate();
  EXPECT_EQ(empty.read(at::kFloat).numel(), 0);
}

TEST(StoredTensor, RefusesShapesThatItsBytesDoNotHold) {
  const TemporaryFile file(counting<float>(12));
  constexpr int64_t large = int64_t{1} << 40;
  const struct {
    std::vector<int64_t> shape, strides;
  } refused[] = {
      {{4, 4}, {4, 1}},                                            // more than there are
      {{4, 3}, {4, 1}},                                            // the last one ends outside
      {{4, 3}, {3}},                                               // a stride is missing
      {{-1, 3}, {3, 1}},                                           // a negative size
      {{4, 3}, {-3, 1}},                                           // a negative stride
      {{4, 3}, {0, 1}},                                            // elements overlap
      {{3, 3}, {1, 1}},                                            // elements overlap
      {{large, large}, {large, 1}},                                // a product that overflows
      {{0, large, large}, {1, 1, 1}},                              // the same of an empty tensor
      {{1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}},  // too many dimensions
  };
  for (const auto& [shape, strides] : refused) {
    const auto tensor = stored(file, at::kFloat, shape, strides);
    EXPECT_EQ(error_code([&] { tensor.validate(); }), "TENSOR_SHAPE") << at::IntArrayRef(shape);
  }
}

TEST(StoredTensor, RefusesARangeOutsideTheFile) {
  const TemporaryFile file(counting<float>(12));
  auto tensor = stored(file, at::kFloat, {1}, {1});
  tensor.end += 1;
  EXPECT_EQ(error_code([&] { tensor.validate(); }), "TENSOR_SHAPE");
  tensor.begin = 8;
  tensor.end = 4;
  EXPECT_EQ(error_code([&] { tensor.validate(); }), "TENSOR_SHAPE");
}

TEST(StoredTensor, RefusesNumbersThatAreNotFinite) {
  for (const float number : {NAN, INFINITY, -INFINITY}) {
    const TemporaryFile file(std::vector<float>{1, 2, number, 4});
    for (const auto& strides : {std::vector<int64_t>{2, 1}, std::vector<int64_t>{1, 2}}) {
      auto tensor = stored(file, at::kFloat, {2, 2}, strides);
      for (const auto as : floating) {
        EXPECT_EQ(error_code([&] { (void)tensor.read(as); }), "NOT_FINITE");
      }
      tensor.allow_non_finite = true;
      EXPECT_EQ(error_code([&] { (void)tensor.read(at::kFloat); }), "none");
    }
  }
}

TEST(StoredTensor, RefusesNumbersThatOverflow) {
  // The greatest float16 is 65504.
  const TemporaryFile file(std::vector<float>{1, 65504, 70000});
  auto tensor = stored(file, at::kFloat, {3}, {1});
  EXPECT_EQ(error_code([&] { (void)tensor.read(at::kHalf); }), "NOT_FINITE");
  EXPECT_EQ(error_code([&] { (void)tensor.read(at::kBFloat16); }), "none");
  tensor.shape = {2};
  EXPECT_EQ(values(tensor.read(at::kHalf)), (std::vector<double>{1, 65504}));
}

TEST(StoredTensor, NoticesThatTheFileHasChanged) {
  const TemporaryFile file(counting<float>(12));
  const auto tensor = stored(file, at::kFloat, {4, 3}, {3, 1});
  file.resize(13 * sizeof(float));
  EXPECT_EQ(error_code([&] { (void)tensor.read(at::kFloat); }), "WEIGHTS_CHANGED");
  EXPECT_EQ(error_code([&] { (void)tensor.read_rows(0, 1, at::kFloat); }), "WEIGHTS_CHANGED");
  EXPECT_EQ(error_code([&] { (void)tensor.read_rows({0}, at::kFloat); }), "WEIGHTS_CHANGED");
}

TEST(ScalarType, KnowsTheNamesOfSafetensors) {
  EXPECT_EQ(scalar_type("F32", "tensor"), at::kFloat);
  EXPECT_EQ(scalar_type("BF16", "tensor"), at::kBFloat16);
  EXPECT_EQ(scalar_type("BOOL", "tensor"), at::kBool);
  EXPECT_EQ(error_code([] { scalar_type("F8_E4M3", "tensor"); }), "TENSOR_DTYPE");
}

}  // namespace
}  // namespace attention_bypass
