#pragma once

#include <streambuf>
#include <string>

namespace attention_bypass {

// Creates a file and writes to it. After an error, such as a full disk, further bytes are dropped and
// finish() throws: libtorch's writer terminates the process if its output fails.
class FileSink final : public std::streambuf {
 public:
  // Throws WRITE_FAILED.
  explicit FileSink(std::string path);
  ~FileSink() override;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  // Closes the file. Throws DISK_FULL or WRITE_FAILED if a write failed.
  void finish();

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize count) override;
  int_type overflow(int_type byte) override;

 private:
  [[noreturn]] void throw_failure() const;

  std::string path_;
  int descriptor_;
  int failure_ = 0;
};

}  // namespace attention_bypass
