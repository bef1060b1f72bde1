#include <ATen/Version.h>
#include <napi.h>
#include <torch/version.h>

#include "device.h"
#include "handles.h"
#include "torch_archive.h"
#include "values.h"

namespace attention_bypass::binding {

namespace {

Napi::Value platform_of(const Napi::CallbackInfo& info) {
  const auto here = platform();
  auto object = Napi::Object::New(info.Env());
  object.Set("libtorch", TORCH_VERSION);
  object.Set("cpuCapability", here.cpu_capability);
  object.Set("threads", here.threads);
  object.Set("cudaDevices", here.cuda_devices);
  return object;
}

Napi::Value free_memory_of(const Napi::CallbackInfo& info) {
  try {
    return Napi::Number::New(info.Env(), static_cast<double>(free_memory(device_of(to_string(info[0])))));
  } catch (...) {
    throw Failure::of(std::current_exception()).error(info.Env());
  }
}

Napi::Value open_archive(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  try {
    const auto archive = open_torch_archive(to_string(info[0]));
    auto storages = Napi::Object::New(env);
    for (const auto& [key, record] : archive.storages) {
      auto range = Napi::Object::New(env);
      range.Set("begin", static_cast<double>(record.begin));
      range.Set("end", static_cast<double>(record.end));
      storages.Set(key, range);
    }
    auto object = Napi::Object::New(env);
    object.Set("hasCode", archive.has_code);
    object.Set("pickle", Napi::Buffer<char>::Copy(env, archive.pickle.data(), archive.pickle.size()));
    object.Set("storages", storages);
    object.Set("extra", to_object(env, archive.extra));
    return object;
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Failure::of(std::current_exception()).error(env);
  }
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Control", ControlHandle::define(env));
  exports.Set("Model", ModelHandle::define(env));
  exports.Set("Decoder", DecoderHandle::define(env));
  exports.Set("endAll",
              Napi::Function::New(env, [](const Napi::CallbackInfo&) { JobQueue::end_all(); }, "endAll"));
  exports.Set("platform", Napi::Function::New(env, platform_of, "platform"));
  exports.Set("freeMemory", Napi::Function::New(env, free_memory_of, "freeMemory"));
  exports.Set("openArchive", Napi::Function::New(env, open_archive, "openArchive"));
  return exports;
}

}  // namespace

}  // namespace attention_bypass::binding

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  return attention_bypass::binding::initialize(env, exports);
}

NODE_API_MODULE(attention_bypass, initialize)
