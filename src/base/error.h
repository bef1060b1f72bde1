#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace attention_bypass {

// An error with a code. lib/errors/errors.ts lists the codes.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  // Copied instead of moved: moving a std::runtime_error needs a newer libstdc++ than libtorch.
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  ~Error() override = default;
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace attention_bypass
