#pragma once

#include <string>

#include "base/error.h"

namespace attention_bypass {

// The code of the error that a call throws; "none" if it throws none.
template <typename Call>
std::string error_code(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return "none";
}

}  // namespace attention_bypass
