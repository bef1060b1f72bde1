#include "mapped_file.h"

#include <ATen/MapAllocator.h>

#include <filesystem>

#include "error.h"

namespace attention_bypass {

namespace {

class AllocatedMapping final : public MappedFile {
 public:
  AllocatedMapping(const std::string& path, uint64_t size)
      // Without ALLOCATOR_MAPPED_SHARED the pages are private: nothing can write to the file.
      : MappedFile(path, size), mapping_(path, at::ALLOCATOR_MAPPED_NOCREATE, size) {}

 protected:
  char* data() const override { return static_cast<char*>(mapping_.data()); }

 private:
  at::MapAllocator mapping_;
};

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  std::error_code failure;
  const uint64_t size = std::filesystem::file_size(path, failure);
  if (failure) throw Error("WEIGHTS_MISSING", "expected a file " + path + " but " + failure.message());
  if (size == 0) throw Error("WEIGHTS_TRUNCATED", "expected weights in " + path + " but the file is empty");
  return std::make_shared<AllocatedMapping>(path, size);
}

at::DataPtr MappedFile::bytes(uint64_t begin, uint64_t length) {
  if (begin > size_ || length > size_ - begin) {
    throw Error("WEIGHTS_TRUNCATED", "expected bytes " + std::to_string(begin) + " to " +
                                         std::to_string(begin + length) + " in " + path_ +
                                         " but the file ends at " + std::to_string(size_));
  }
  auto owner = std::make_unique<std::shared_ptr<MappedFile>>(shared_from_this());
  const auto release = [](void* context) { delete static_cast<std::shared_ptr<MappedFile>*>(context); };
  char* start = data() + begin;
  return at::DataPtr(start, owner.release(), release, at::kCPU);
}

}  // namespace attention_bypass
