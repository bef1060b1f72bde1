#include "base/file_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace attention_bypass {

FileSink::FileSink(std::string path)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ >= 0) return;
  failure_ = errno;
  throw_failure();
}

FileSink::~FileSink() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileSink::finish() {
  if (::close(std::exchange(descriptor_, -1)) != 0 && failure_ == 0) failure_ = errno;
  if (failure_ != 0) throw_failure();
}

std::streamsize FileSink::xsputn(const char* bytes, std::streamsize count) {
  for (std::streamsize written = 0; written < count && failure_ == 0;) {
    const ssize_t some = ::write(descriptor_, bytes + written, static_cast<size_t>(count - written));
    if (some >= 0) {
      written += some;
    } else if (errno != EINTR) {
      failure_ = errno;
    }
  }
  return count;
}

FileSink::int_type FileSink::overflow(int_type byte) {
  if (traits_type::eq_int_type(byte, traits_type::eof())) return traits_type::not_eof(byte);
  const char only = traits_type::to_char_type(byte);
  xsputn(&only, 1);
  return byte;
}

void FileSink::throw_failure() const {
  const bool full = failure_ == ENOSPC || failure_ == EDQUOT;
  throw Error(full ? "DISK_FULL" : "WRITE_FAILED",
              "expected to write " + path_ + " but it failed: " + std::generic_category().message(failure_));
}

}  // namespace attention_bypass
