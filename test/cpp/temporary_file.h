#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "weights/weight_file.h"

namespace attention_bypass {

// A file with these numbers as its bytes, removed with this object.
class TemporaryFile {
 public:
  template <typename Number>
  explicit TemporaryFile(const std::vector<Number>& numbers) : descriptor_(mkstemp(path_.data())) {
    write(numbers.data(), numbers.size() * sizeof(Number));
  }
  ~TemporaryFile() {
    close(descriptor_);
    unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

  void write(const void* bytes, size_t count) const {
    if (pwrite(descriptor_, bytes, count, 0) != static_cast<ssize_t>(count))
      throw std::runtime_error("write");
  }
  void resize(int64_t size) const {
    if (ftruncate(descriptor_, size) != 0) throw std::runtime_error("ftruncate");
  }

  WeightFile::Identity identity() const {
    struct stat found{};
    fstat(descriptor_, &found);
    return {found.st_dev, found.st_ino, static_cast<uint64_t>(found.st_size),
            int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
  }
  std::shared_ptr<const WeightFile> open() const {
    return std::make_shared<const WeightFile>(path_, identity());
  }

 private:
  std::string path_ = "/tmp/attention-bypass-XXXXXX";
  int descriptor_;
};

}  // namespace attention_bypass
