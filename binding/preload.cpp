// An addon that opens shared libraries with global symbols. It is not linked to libtorch, so it can open the
// chosen libtorch by absolute path before the main addon, which needs it, is loaded.

#include <dlfcn.h>
#include <napi.h>
#include <unistd.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace {

// Adds variables to the process's environment while this object exists, so that a library can read them when
// it is opened but child processes do not inherit them. Replaces the table instead of calling setenv, because
// other threads may be reading the old table.
class AddedVariables final {
 public:
  // variables: texts such as "NAME=value".
  explicit AddedVariables(const std::vector<std::string>& variables) : lock_(mutex()), before_(environ) {
    if (variables.empty()) return;
    Table& table = tables().emplace_back(Table{variables, {}});
    for (char** entry = before_; entry != nullptr && *entry != nullptr; entry++)
      table.entries.push_back(*entry);
    for (std::string& text : table.texts) table.entries.push_back(text.data());
    table.entries.push_back(nullptr);
    added_ = table.entries.data();
    environ = added_;
  }

  ~AddedVariables() {
    // If a variable was set in the meantime, the C library has replaced the table, which must be kept.
    if (added_ != nullptr && environ == added_) environ = before_;
  }

  AddedVariables(const AddedVariables&) = delete;
  AddedVariables& operator=(const AddedVariables&) = delete;

 private:
  struct Table {
    std::vector<std::string> texts;
    std::vector<char*> entries;
  };

  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }

  // Never freed: another thread may still read a table after it was replaced.
  static std::list<Table>& tables() {
    static auto* all = new std::list<Table>;
    return *all;
  }

  std::lock_guard<std::mutex> lock_;
  char** before_;
  char** added_ = nullptr;
};

// Not on Node's thread: opening libtorch takes several tenths of a second.
class OpenWorker final : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, std::string path, std::vector<std::string> variables)
      : Napi::AsyncWorker(env, "attention-bypass:open"),
        path_(std::move(path)),
        variables_(std::move(variables)),
        deferred_(env) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    // dlopen runs the library's initializers, which may throw anything.
    try {
      const AddedVariables added(variables_);
      if (dlopen(path_.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) SetError(dlerror());
    } catch (const std::exception& error) {
      SetError(error.what());
    } catch (...) {
      SetError(path_ + " threw an unknown exception in an initializer");
    }
  }

  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  std::string path_;
  std::vector<std::string> variables_;
  Napi::Promise::Deferred deferred_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  const auto given = info[1].As<Napi::Array>();
  std::vector<std::string> variables;
  for (uint32_t index = 0; index < given.Length(); index++) {
    variables.push_back(given.Get(index).As<Napi::String>());
  }
  auto worker = std::make_unique<OpenWorker>(info.Env(), info[0].As<Napi::String>(), std::move(variables));
  const auto promise = worker->promise();
  worker->Queue();
  // The worker deletes itself after its promise is settled.
  (void)worker.release();
  return promise;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(preload, initialize)
