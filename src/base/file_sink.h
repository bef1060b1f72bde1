#pragma once

#include <streambuf>
#include <string>

namespace attention_bypass {

// A new file to write to. A failure, such as a full disk, is kept until finish(), and what comes after it is
// dropped: libtorch's writer ends the process when its output fails.
class FileSink final : public std::streambuf {
 public:
  // Throws WRITE_FAILED.
  explicit FileSink(std::string path);
  ~FileSink() override;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  // Throws DISK_FULL, WRITE_FAILED if not all has been written.
  void finish();

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize count) override;
  int_type overflow(int_type byte) override;

 private:
  [[noreturn]] void refuse() const;

  std::string path_;
  int descriptor_;
  int failure_ = 0;
};

}  // namespace attention_bypass
