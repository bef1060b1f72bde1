#pragma once

#include <cstdint>
#include <string>

namespace attention_bypass {

// A file with weights, which this object keeps open. It is read with pread and never mapped into memory: if
// another process truncates a mapped file, access to it ends the process, while a read returns an error.
class WeightFile {
 public:
  // Identifies a version of a file. Taken when its header is read.
  struct Identity {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t modified = 0;  // nanoseconds since 1970

    bool operator==(const Identity&) const = default;
  };

  // Throws WEIGHTS_MISSING, WEIGHTS_INVALID, and WEIGHTS_CHANGED if the file is not the expected one.
  WeightFile(std::string path, const Identity& expected);
  ~WeightFile();
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  uint64_t size() const noexcept { return expected_.size; }

  // Reads bytes begin to begin + length. Thread-safe. Throws WEIGHTS_TRUNCATED, WEIGHTS_INVALID.
  void read(uint64_t begin, uint64_t length, void* to) const;

  // Throws WEIGHTS_CHANGED if the file has changed. Called after the bytes of a tensor were read.
  void require_unchanged() const;

 private:
  std::string path_;
  Identity expected_;
  int descriptor_;
};

}  // namespace attention_bypass
