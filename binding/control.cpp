#include "handles.h"

namespace attention_bypass::binding {

Napi::Function ControlHandle::define(Napi::Env env) {
  return DefineClass(env, "Control", {InstanceMethod<&ControlHandle::abort>("abort")});
}

ControlHandle::ControlHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ControlHandle>(info) {
  if (info[0].IsFunction()) info.This().As<Napi::Object>().Set("onProgress", info[0]);
}

void ControlHandle::abort(const Napi::CallbackInfo&) { control_->abort(); }

Controlled::Controlled(const Napi::Value& handle)
    : control(std::make_shared<Control>()), on_progress(handle) {
  if (!handle.IsObject()) return;
  const auto object = handle.As<Napi::Object>();
  control = ControlHandle::Unwrap(object)->control_;
  on_progress = object.Get("onProgress");
}

}  // namespace attention_bypass::binding
