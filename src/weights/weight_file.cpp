#include "weights/weight_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace attention_bypass {

namespace {

// Linux reads at most about 2 GiB in one call.
constexpr uint64_t bytes_at_once = 1 << 30;

std::string reason(int number) { return std::generic_category().message(number); }

}  // namespace

WeightFile::WeightFile(std::string path, const Identity& expected)
    : path_(std::move(path)),
      expected_(expected),
      // Without O_NONBLOCK, opening a named pipe would wait for a writer.
      descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) {
    throw Error("WEIGHTS_MISSING",
                "expected " + path_ + " to be a readable file but opening it failed: " + reason(errno));
  }
  try {
    require_unchanged();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

WeightFile::~WeightFile() { ::close(descriptor_); }

void WeightFile::read(uint64_t begin, uint64_t length, void* to) const {
  if (begin > size() || length > size() - begin) {
    throw Error("WEIGHTS_TRUNCATED", "expected bytes " + std::to_string(begin) + " to " +
                                         std::to_string(begin + length) + " in " + path_ +
                                         " but the file ends at " + std::to_string(size()));
  }
  auto* next = static_cast<char*>(to);
  while (length > 0) {
    const ssize_t count =
        ::pread(descriptor_, next, std::min(length, bytes_at_once), static_cast<off_t>(begin));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw Error("WEIGHTS_INVALID", "expected to read " + path_ + " but it failed: " + reason(errno));
    }
    if (count == 0) {
      throw Error("WEIGHTS_TRUNCATED", "expected " + std::to_string(size()) + " bytes in " + path_ +
                                           " but it has become shorter since it was opened");
    }
    next += count;
    begin += static_cast<uint64_t>(count);
    length -= static_cast<uint64_t>(count);
  }
}

void WeightFile::require_unchanged() const {
  struct stat found{};
  if (::fstat(descriptor_, &found) != 0) {
    throw Error("WEIGHTS_INVALID", "expected to read " + path_ + " but it failed: " + reason(errno));
  }
  if (!S_ISREG(found.st_mode)) {
    throw Error("WEIGHTS_INVALID",
                "expected a regular file " + path_ + " but found a folder, a pipe or a device");
  }
  Identity now{found.st_dev, found.st_ino, static_cast<uint64_t>(found.st_size),
               int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
  // Some hosts, such as Deno, report times in whole milliseconds.
  constexpr int64_t millisecond = 1'000'000;
  if (expected_.modified % millisecond == 0) now.modified -= now.modified % millisecond;
  if (now == expected_) return;
  throw Error("WEIGHTS_CHANGED",
              "expected " + path_ +
                  " to be unchanged since the model was opened but it has changed; load the model again");
}

}  // namespace attention_bypass
