#include "stored_tensors.h"

#include <memory>

#include "error.h"
#include "mapped_file.h"

namespace attention_bypass {

namespace {

at::ScalarType scalar_type(const StoredTensor& tensor) {
  static const std::map<std::string, at::ScalarType> types = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool},
  };
  const auto found = types.find(tensor.dtype);
  if (found != types.end()) return found->second;
  throw Error("TENSOR_DTYPE", "expected tensor " + tensor.name +
                                  " to be of a dtype such as F32, F16 or BF16 but received " + tensor.dtype);
}

// How many elements from the first one to the last, both included.
uint64_t extent(const StoredTensor& tensor) {
  uint64_t elements = 1;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    if (tensor.shape[axis] == 0) return 0;
    uint64_t steps = 0;
    if (tensor.shape[axis] < 0 || tensor.strides[axis] < 0 ||
        __builtin_mul_overflow(static_cast<uint64_t>(tensor.shape[axis] - 1),
                               static_cast<uint64_t>(tensor.strides[axis]), &steps) ||
        __builtin_add_overflow(elements, steps, &elements) || elements > INT64_MAX / sizeof(double)) {
      throw Error("TENSOR_SHAPE", "expected tensor " + tensor.name + " in " + tensor.file +
                                      " to have a shape that a file can hold");
    }
  }
  return elements;
}

}  // namespace

Weights map_tensors(const std::vector<StoredTensor>& tensors) {
  std::map<std::string, std::shared_ptr<MappedFile>> files;
  Weights weights;
  for (const auto& stored : tensors) {
    auto& file = files[stored.file];
    if (!file) file = MappedFile::open(stored.file);
    const auto type = scalar_type(stored);
    const uint64_t length = stored.end - stored.begin;
    const uint64_t needed = extent(stored) * c10::elementSize(type);
    if (needed > length) {
      throw Error("TENSOR_SHAPE", "expected the shape of tensor " + stored.name + " in " + stored.file +
                                      " to take " + std::to_string(length) + " bytes but it takes " +
                                      std::to_string(needed));
    }
    const auto owner = std::make_shared<at::DataPtr>(file->bytes(stored.begin, length));
    weights.emplace(stored.name,
                    at::from_blob(owner->get(), stored.shape, stored.strides, [owner](void*) {}, type));
  }
  return weights;
}

}  // namespace attention_bypass
