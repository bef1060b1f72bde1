#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace attention_bypass {

// A failure with a code that callers may branch on. The codes are listed in lib/errors.ts.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace attention_bypass
