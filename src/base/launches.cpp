#include "base/launches.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace attention_bypass {

namespace {

struct Counts {
  std::atomic<int64_t> operators, uploads, uploaded_bytes, readbacks, key_value_bytes, decoded_rows;
};

Counts& counts() {
  static Counts all;
  return all;
}

std::atomic<bool> is_counting = false;

// The operators in progress on this thread: how many that count, and for each whether it does.
struct Calls {
  std::vector<bool> open;
  int64_t counted = 0;
};

Calls& calls() {
  thread_local Calls of_thread;
  return of_thread;
}

// Whether an operator computes itself: not if it only describes or allocates memory, or only calls other
// operators.
bool computes(const at::RecordFunction& function) {
  static constexpr std::array<std::string_view, 3> of_memory = {"aten::empty", "aten::resize_", "aten::set_"};
  const std::string_view name = function.name();
  if (std::any_of(of_memory.begin(), of_memory.end(),
                  [name](std::string_view prefix) { return name.starts_with(prefix); })) {
    return false;
  }
  const auto operator_name = function.operator_name();
  if (!operator_name) return false;
  const auto found = c10::Dispatcher::singleton().findSchema(*operator_name);
  if (!found || found->hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd)) return false;
  const auto& returns = found->schema().returns();
  return std::none_of(returns.begin(), returns.end(), [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  });
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  auto& [open, counted] = calls();
  // What an operator that computes calls in turn is part of it.
  open.push_back(counted == 0 && computes(function));
  if (open.back()) {
    ++counted;
    ++counts().operators;
  }
  return nullptr;
}

void leave(const at::RecordFunction&, at::ObserverContext*) {
  auto& [open, counted] = calls();
  if (open.empty()) return;  // counting started within this call
  if (open.back()) --counted;
  open.pop_back();
}

}  // namespace

void count_launches(bool on) {
  static std::optional<at::CallbackHandle> callback;
  if (callback) at::removeCallback(*callback);
  callback.reset();
  auto& all = counts();
  for (auto* count : {&all.operators, &all.uploads, &all.uploaded_bytes, &all.readbacks, &all.key_value_bytes,
                      &all.decoded_rows}) {
    *count = 0;
  }
  is_counting = on;
  if (!on) return;
  callback =
      at::addGlobalCallback(at::RecordFunctionCallback(enter, leave).scopes({at::RecordScope::FUNCTION}));
}

Launches launches() {
  const auto& all = counts();
  return {all.operators, all.uploads,         all.uploaded_bytes,
          all.readbacks, all.key_value_bytes, all.decoded_rows};
}

void count_upload(const at::Tensor& values) {
  if (!is_counting) return;
  ++counts().uploads;
  counts().uploaded_bytes += static_cast<int64_t>(values.nbytes());
}

void count_readback(const at::Tensor&) {
  if (is_counting) ++counts().readbacks;
}

void count_key_values(const at::Tensor& written) {
  if (is_counting) counts().key_value_bytes += static_cast<int64_t>(written.nbytes());
}

void count_decoding_step(int64_t rows) {
  if (is_counting) counts().decoded_rows += rows;
}

}  // namespace attention_bypass
