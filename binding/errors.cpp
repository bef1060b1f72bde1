#include "errors.h"

#include <c10/util/Exception.h>

#include <new>

#include "base/device.h"
#include "base/error.h"

namespace attention_bypass::binding {

namespace {

// Returns the line with the reason: the first line, or the last line for errors in TorchScript, which begin
// with a traceback.
std::string one_line(const std::string& text) {
  const bool interpreted = text.find("TorchScript") != std::string::npos;
  const auto end = text.find_last_not_of('\n');
  if (interpreted && end != std::string::npos) {
    const auto begin = text.find_last_of('\n', end);
    return text.substr(begin == std::string::npos ? 0 : begin + 1,
                       begin == std::string::npos ? end + 1 : end - begin);
  }
  return text.substr(0, text.find('\n'));
}

Failure of_libtorch(const std::string& message, const std::string& trace) {
  if (says_device_lost(trace)) {
    return {"DEVICE_LOST",
            "expected the CUDA device to work but it failed (" + one_line(message) +
                "); no call of this process can use it any more: restart the process",
            trace};
  }
  const bool memory = trace.find("not enough memory") != std::string::npos ||
                      trace.find("can't allocate memory") != std::string::npos ||
                      trace.find("out of memory") != std::string::npos;
  return {memory ? "OUT_OF_MEMORY" : "LIBTORCH_FAILED", one_line(message), trace};
}

}  // namespace

Failure Failure::of(const std::exception_ptr& exception) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {error.code(), error.what(), ""};
  } catch (const c10::Error& error) {
    return of_libtorch(error.what_without_backtrace(), error.what());
  } catch (const std::bad_alloc&) {
    return {"OUT_OF_MEMORY", "not enough memory", ""};
  } catch (const std::exception& error) {
    return of_libtorch(error.what(), error.what());
  } catch (...) {
    return {"LIBTORCH_FAILED", "the native code threw a value that is not a std::exception", ""};
  }
}

Napi::Error Failure::error(Napi::Env env) const {
  auto error = Napi::Error::New(env, message);
  error.Set("code", code);
  if (!trace.empty()) error.Set("trace", trace);
  return error;
}

}  // namespace attention_bypass::binding
