// Opens shared libraries for all that comes after them. Linked to no libtorch, so that the libtorch of choice
// can be opened by absolute path before the addon that needs it.

#include <dlfcn.h>
#include <napi.h>

#include <memory>

namespace {

// Away from the event loop: libtorch takes a good part of a second to open.
class OpenWorker final : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, std::string path)
      : Napi::AsyncWorker(env, "attention-bypass:open"), path_(std::move(path)), deferred_(env) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    // Static objects of a library are made here, and what they throw may be anything.
    try {
      if (dlopen(path_.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) SetError(dlerror());
    } catch (const std::exception& error) {
      SetError(error.what());
    } catch (...) {
      SetError(path_ + " failed at its start");
    }
  }

  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  std::string path_;
  Napi::Promise::Deferred deferred_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  auto worker = std::make_unique<OpenWorker>(info.Env(), info[0].As<Napi::String>());
  const auto promise = worker->promise();
  worker->Queue();
  // It frees itself once it has settled its promise.
  (void)worker.release();
  return promise;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(preload, initialize)
