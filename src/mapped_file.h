#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>

namespace attention_bypass {

// A file's bytes, mapped read-only; tensors on them keep the mapping alive.
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  // Throws WEIGHTS_MISSING where there is no such file.
  static std::shared_ptr<MappedFile> open(const std::string& path);
  virtual ~MappedFile() = default;

  const std::string& path() const noexcept { return path_; }
  uint64_t size() const noexcept { return size_; }

  // Throws WEIGHTS_TRUNCATED where the file ends before begin + length.
  at::DataPtr bytes(uint64_t begin, uint64_t length);

 protected:
  MappedFile(std::string path, uint64_t size) : path_(std::move(path)), size_(size) {}
  virtual char* data() const = 0;

 private:
  std::string path_;
  uint64_t size_;
};

}  // namespace attention_bypass
