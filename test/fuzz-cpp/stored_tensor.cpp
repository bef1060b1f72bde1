// A target of libFuzzer for the reader of tensors: any list of tensors on any file is refused by an error of ours, or read
// into memory that it fits. Built and run by scripts/sanitize.mjs.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/stored_tensor.h"

using namespace attention_bypass;

namespace {

// Takes numbers off the front of the input; 0 where it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  template <typename Number>
  Number take() {
    Number number = 0;
    const size_t count = left_ < sizeof number ? left_ : sizeof number;
    std::memcpy(&number, data_, count);
    data_ += count;
    left_ -= count;
    return number;
  }

  // Small numbers mostly, and any at all now and then.
  int64_t size() {
    const auto kind = take<uint8_t>();
    if (kind < 200) return kind % 17;
    return kind < 240 ? take<uint16_t>() : take<int64_t>();
  }

  const uint8_t* data() const { return data_; }
  size_t left() const { return left_; }

 private:
  const uint8_t* data_;
  size_t left_;
};

const std::string& path() {
  static const std::string name = "/tmp/attention-bypass-fuzz-" + std::to_string(getpid());
  return name;
}

WeightFile::Identity write_file(const uint8_t* data, size_t size) {
  static const int file = [] {
    const int opened = open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    std::atexit([] { unlink(path().c_str()); });
    return opened;
  }();
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  struct stat found {};
  fstat(file, &found);
  return {found.st_dev, found.st_ino, static_cast<uint64_t>(found.st_size),
          int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

constexpr at::ScalarType stored_types[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                           at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};
constexpr at::ScalarType wanted_types[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16};

void read_all(const StoredTensor& tensor, Input& input) {
  tensor.validate();
  const auto as = wanted_types[input.take<uint8_t>() % 4];
  const auto whole = tensor.read(as);
  if (whole.sizes() != at::IntArrayRef(tensor.shape)) std::abort();
  // Only matrices are read by rows, when their shape is known to be the config's, and by numbers that are checked.
  if (tensor.shape.empty() || whole.numel() == 0) return;
  const int64_t first = input.take<uint8_t>() % tensor.shape.front();
  const auto rows = tensor.read_rows(first, tensor.shape.front() - first, as);
  const auto picked = tensor.read_rows(std::vector<int64_t>{first, 0, first}, as);
  const auto same = [](const at::Tensor& one, const at::Tensor& other) { return at::equal(one, other); };
  if (tensor.allow_non_finite) return;
  if (!same(rows, whole.narrow(0, first, tensor.shape.front() - first))) std::abort();
  if (!same(picked.select(0, 1), whole.select(0, 0))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const c10::InferenceMode inference;
  Input input(data, size);
  StoredTensor tensor;
  tensor.name = "tensor";
  tensor.type = stored_types[input.take<uint8_t>() % 10];
  tensor.allow_non_finite = input.take<uint8_t>() % 2 == 1;
  const auto shapes = input.take<uint8_t>();
  const size_t dimensions = shapes < 240 ? shapes % 4 : shapes % 12;
  for (size_t axis = 0; axis < dimensions; ++axis) tensor.shape.push_back(input.size());
  // As many strides mostly, and those of rows one after the other half of the time.
  const auto strides = input.take<uint8_t>();
  for (size_t axis = 0; axis < (strides == 255 ? dimensions + 1 : dimensions); ++axis) {
    tensor.strides.push_back(input.size());
  }
  if (strides < 128) {
    uint64_t next = 1;
    for (size_t axis = dimensions; axis-- > 0;) {
      tensor.strides[axis] = static_cast<int64_t>(next);
      next *= static_cast<uint64_t>(tensor.shape[axis]);
    }
  }
  tensor.begin = static_cast<uint64_t>(input.size());
  const bool to_end = input.take<uint8_t>() % 2 == 0;
  tensor.end = static_cast<uint64_t>(input.size());
  auto identity = write_file(input.data(), input.left());
  if (to_end) tensor.end = identity.size;
  if (input.take<uint8_t>() == 255) ++identity.size;
  try {
    tensor.file = std::make_shared<const WeightFile>(path(), identity);
    read_all(tensor, input);
  } catch (const Error&) {
    // Refused by a code, as it should be. Any other exception ends the process, and is found.
  }
  return 0;
}
