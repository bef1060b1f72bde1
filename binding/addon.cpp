#include <ATen/Version.h>
#include <napi.h>
#include <torch/version.h>

#include <memory>
#include <optional>

#include "base/device.h"
#include "base/launches.h"
#include "handles.h"
#include "product/product.h"
#include "values.h"

namespace attention_bypass::binding {

namespace {

// Not on Node's thread: the CUDA driver is slow to start.
class PlatformWorker final : public Napi::AsyncWorker {
 public:
  explicit PlatformWorker(Napi::Env env)
      : Napi::AsyncWorker(env, "attention-bypass:platform"), deferred_(env) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      platform_ = platform();
      computes_in_bfloat16_ = arithmetic_type(at::kCPU, at::kBFloat16) == at::kBFloat16;
      computes_in_float16_ = arithmetic_type(at::kCPU, at::kHalf) == at::kHalf;
    } catch (...) {
      failure_ = Failure::of(std::current_exception());
      SetError(failure_->message);
    }
  }

  void OnOK() override {
    auto object = Napi::Object::New(Env());
    object.Set("libtorch", TORCH_VERSION);
    object.Set("cpuCapability", platform_.cpu_capability);
    object.Set("cpuKernels", few_rows_instructions());
    auto arithmetic = Napi::Object::New(Env());
    arithmetic.Set("bfloat16", computes_in_bfloat16_ ? "bfloat16" : "float32");
    arithmetic.Set("float16", computes_in_float16_ ? "float16" : "float32");
    object.Set("cpuArithmetic", arithmetic);
    object.Set("threads", platform_.threads);
    object.Set("cudaDevices", platform_.cuda_devices);
    object.Set("cudaRefusal", platform_.cuda_refusal);
    deferred_.Resolve(object);
  }

  void OnError(const Napi::Error&) override { deferred_.Reject(failure_->error(Env()).Value()); }

 private:
  Platform platform_;
  bool computes_in_bfloat16_ = false, computes_in_float16_ = false;
  std::optional<Failure> failure_;
  Napi::Promise::Deferred deferred_;
};

Napi::Value platform_of(const Napi::CallbackInfo& info) {
  auto worker = std::make_unique<PlatformWorker>(info.Env());
  const auto promise = worker->promise();
  worker->Queue();
  // The worker deletes itself after its promise is settled.
  (void)worker.release();
  return promise;
}

Napi::Value free_memory_of(const Napi::CallbackInfo& info) {
  try {
    return Napi::Number::New(info.Env(), static_cast<double>(free_memory(device_of(to_string(info[0])))));
  } catch (...) {
    throw Failure::of(std::current_exception()).error(info.Env());
  }
}

Napi::Value launches_of(const Napi::CallbackInfo& info) {
  const auto counted = launches();
  auto object = Napi::Object::New(info.Env());
  const auto set = [&object](const char* name, int64_t count) {
    object.Set(name, static_cast<double>(count));
  };
  set("operators", counted.operators);
  set("uploads", counted.uploads);
  set("uploadedBytes", counted.uploaded_bytes);
  set("readbacks", counted.readbacks);
  set("keyValueBytes", counted.key_value_bytes);
  set("decodedRows", counted.decoded_rows);
  count_launches(info[0].ToBoolean());
  return object;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Control", ControlHandle::define(env));
  exports.Set("Model", ModelHandle::define(env));
  exports.Set("Generator", GeneratorHandle::define(env));
  exports.Set("Scorer", ScorerHandle::define(env));
  exports.Set("Traced", TracedHandle::define(env));
  exports.Set("endAll",
              Napi::Function::New(env, [](const Napi::CallbackInfo&) { JobQueue::end_all(); }, "endAll"));
  exports.Set("platform", Napi::Function::New(env, platform_of, "platform"));
  exports.Set("freeMemory", Napi::Function::New(env, free_memory_of, "freeMemory"));
  exports.Set("launches", Napi::Function::New(env, launches_of, "launches"));
  return exports;
}

}  // namespace

}  // namespace attention_bypass::binding

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  return attention_bypass::binding::initialize(env, exports);
}

NODE_API_MODULE(attention_bypass, initialize)
