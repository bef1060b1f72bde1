#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace attention_bypass::binding {

// What went wrong on a working thread, kept until Node's thread can make an error of it.
struct Failure {
  std::string code;
  std::string message;  // one line
  std::string trace;    // libtorch's own account; may be empty

  static Failure of(const std::exception_ptr& exception) noexcept;
  Napi::Error error(Napi::Env env) const;
};

}  // namespace attention_bypass::binding
