// Opens shared libraries for all that comes after them. Linked to no libtorch, so that the libtorch of choice
// can be opened by absolute path before the addon that needs it.

#include <dlfcn.h>
#include <napi.h>

namespace {

void open(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) throw Napi::Error::New(info.Env(), dlerror());
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(preload, initialize)
