// Opens shared libraries for all that comes after them. Linked to no libtorch, so that the libtorch of choice
// can be opened by absolute path before the addon that needs it.

#include <dlfcn.h>
#include <napi.h>

namespace {

// Away from the event loop: libtorch takes a good part of a second to open.
class OpenWorker final : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, std::string path)
      : Napi::AsyncWorker(env, "attention-bypass:open"), path_(std::move(path)), deferred_(env) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    if (dlopen(path_.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) SetError(dlerror());
  }

  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  std::string path_;
  Napi::Promise::Deferred deferred_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  // The worker frees itself once it has settled its promise.
  auto* worker = new OpenWorker(info.Env(), info[0].As<Napi::String>());
  const auto promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(preload, initialize)
