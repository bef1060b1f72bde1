#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace attention_bypass::binding {

// An error from a working thread. Node's thread converts it to a JavaScript error.
struct Failure {
  std::string code;
  std::string message;  // one line
  std::string trace;    // libtorch's full message; may be empty

  static Failure of(const std::exception_ptr& exception) noexcept;
  Napi::Error error(Napi::Env env) const;
};

}  // namespace attention_bypass::binding
