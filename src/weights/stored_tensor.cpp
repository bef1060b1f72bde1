#include "weights/stored_tensor.h"

#include <ATen/Parallel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/finite.h"

namespace attention_bypass {

namespace {

// The limit on dimensions. Models have fewer, and some of libtorch's functions take quadratic time in them.
constexpr size_t most_dimensions = 8;
// Elements that are read, converted and checked together. They fit into the processor's cache.
constexpr int64_t elements_at_once = 1 << 18;

std::string name_of(at::ScalarType type) {
  switch (type) {
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    case at::kDouble:
      return "float64";
    default:
      return "float32";
  }
}

// With large pages, the first write to new memory causes fewer page faults.
void advise_large_pages(const at::Tensor& tensor) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* begin = tensor.data_ptr();
  size_t space = tensor.nbytes();
  if (std::align(page, page, begin, space) != nullptr) madvise(begin, space / page * page, MADV_HUGEPAGE);
}

}  // namespace

at::ScalarType scalar_type(const std::string& dtype, const std::string& tensor) {
  static const std::map<std::string, at::ScalarType> types = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool},
  };
  const auto found = types.find(dtype);
  if (found != types.end()) return found->second;
  throw Error("TENSOR_DTYPE",
              "expected a dtype such as F32, F16 or BF16 for tensor " + tensor + " but received " + dtype);
}

void StoredTensor::validate() const {
  const auto refuse = [this](const std::string& reason) {
    throw Error("TENSOR_SHAPE", "expected the shape, strides and byte range of tensor " + name + " in " +
                                    file->path() + " to match but " + reason);
  };
  if (shape.size() > most_dimensions || shape.size() != strides.size()) {
    refuse("it has " + std::to_string(shape.size()) + " dimensions and " + std::to_string(strides.size()) +
           " strides");
  }
  if (end < begin || end > file->size()) refuse("its bytes are outside the file");
  // The number of elements from the first to the last, including both.
  uint64_t extent = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 0 || strides[axis] < 0) refuse("a size or stride is negative");
    uint64_t steps = 0;
    if (__builtin_mul_overflow(static_cast<uint64_t>(std::max<int64_t>(0, shape[axis] - 1)),
                               static_cast<uint64_t>(strides[axis]), &steps) ||
        __builtin_add_overflow(extent, steps, &extent) || extent > INT64_MAX / sizeof(double)) {
      refuse("it is larger than any file");
    }
  }
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  const uint64_t needed = empty ? 0 : extent * c10::elementSize(type);
  if (needed > end - begin) {
    refuse("it needs " + std::to_string(needed) + " bytes and has " + std::to_string(end - begin));
  }
  // libtorch multiplies the other sizes of an empty tensor too, and fails if the product overflows.
  uint64_t count = 1;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(std::max<int64_t>(1, size)), &count) ||
        count > INT64_MAX / sizeof(double)) {
      refuse("it is larger than any file");
    }
  }
  // With overlapping elements, a small file could describe a tensor of any size.
  if (!empty && count > extent) refuse("its elements overlap");
}

int64_t StoredTensor::elements() const {
  int64_t count = 1;
  for (const auto size : shape) count *= size;
  return count;
}

bool StoredTensor::contiguous() const {
  int64_t expected = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

int64_t StoredTensor::row_elements() const {
  int64_t count = 1;
  for (size_t axis = 1; axis < shape.size(); ++axis) count *= shape[axis];
  return count;
}

void StoredTensor::require_finite(const void* stored, const void* converted, int64_t count,
                                  at::ScalarType as) const {
  if (allow_non_finite || all_finite(converted, count, as)) return;
  const std::string where = "tensor " + name + " in " + file->path();
  if (all_finite(stored, count, type)) {
    throw Error("NOT_FINITE", "expected the numbers in " + where + " to fit " + name_of(as) +
                                  " but some overflow; load the model in bfloat16 or float32");
  }
  throw Error("NOT_FINITE", "expected finite numbers in " + where +
                                " but some are NaN or infinite; the file may be damaged: download it "
                                "again, or set the option allowNonFinite to load it anyway");
}

void StoredTensor::read_elements(uint64_t first, int64_t count, at::ScalarType as, void* to) const {
  const auto size = static_cast<uint64_t>(c10::elementSize(type));
  const auto out_size = static_cast<uint64_t>(c10::elementSize(as));
  at::parallel_for(0, count, elements_at_once, [&](int64_t from, int64_t until) {
    const c10::InferenceMode inference;
    at::Tensor buffer;
    for (int64_t at_element = from; at_element < until; at_element += elements_at_once) {
      const int64_t some = std::min(elements_at_once, until - at_element);
      char* out = static_cast<char*>(to) + static_cast<uint64_t>(at_element) * out_size;
      const uint64_t place = begin + (first + static_cast<uint64_t>(at_element)) * size;
      if (as == type) {
        file->read(place, static_cast<uint64_t>(some) * size, out);
      } else {
        if (!buffer.defined()) buffer = at::empty({std::min(elements_at_once, until - from)}, type);
        file->read(place, static_cast<uint64_t>(some) * size, buffer.data_ptr());
        at::from_blob(out, {some}, as).copy_(buffer.narrow(0, 0, some));
      }
      require_finite(as == type ? out : buffer.const_data_ptr(), out, some, as);
    }
  });
}

void StoredTensor::read_into(at::Tensor& destination) const {
  const auto as = destination.scalar_type();
  if (contiguous()) {
    read_elements(0, elements(), as, destination.data_ptr());
  } else {
    const auto count = static_cast<int64_t>((end - begin) / c10::elementSize(type));
    auto bytes = at::empty({count}, type);
    file->read(begin, static_cast<uint64_t>(count) * c10::elementSize(type), bytes.data_ptr());
    const auto stored = bytes.as_strided(shape, strides).contiguous();
    destination.copy_(stored);
    require_finite(stored.const_data_ptr(), destination.const_data_ptr(), destination.numel(), as);
  }
  file->require_unchanged();
}

at::Tensor StoredTensor::read(at::ScalarType as) const {
  auto tensor = at::empty(shape, as);
  advise_large_pages(tensor);
  read_into(tensor);
  return tensor;
}

at::Tensor StoredTensor::read_rows(int64_t first, int64_t count, at::ScalarType as) const {
  if (!contiguous()) return read(as).narrow(0, first, count);
  auto sizes = shape;
  sizes.front() = count;
  auto tensor = at::empty(sizes, as);
  read_elements(static_cast<uint64_t>(first * row_elements()), count * row_elements(), as, tensor.data_ptr());
  file->require_unchanged();
  return tensor;
}

at::Tensor StoredTensor::read_rows(const std::vector<int64_t>& rows, at::ScalarType as) const {
  if (!contiguous()) return read(as).index_select(0, at::tensor(rows, at::kLong));
  auto sizes = shape;
  sizes.front() = static_cast<int64_t>(rows.size());
  auto tensor = at::empty(sizes, as);
  for (size_t place = 0; place < rows.size(); ++place) {
    auto row = tensor.select(0, static_cast<int64_t>(place));
    read_elements(static_cast<uint64_t>(rows[place] * row_elements()), row_elements(), as, row.data_ptr());
  }
  file->require_unchanged();
  return tensor;
}

}  // namespace attention_bypass
