#include "errors.h"
#include "handles.h"
#include "values.h"

namespace attention_bypass::binding {

Napi::Function TracedHandle::define(Napi::Env env) {
  return DefineClass(env, "Traced", {InstanceMethod<&TracedHandle::logits>("logits")});
}

TracedHandle::TracedHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TracedHandle>(info) {
  try {
    const auto limits = info[1].As<Napi::Object>();
    const auto number = [&limits](const char* name) {
      return static_cast<uint64_t>(limits.Get(name).As<Napi::Number>().Int64Value());
    };
    module_ = std::make_unique<TracedModule>(to_string(info[0]),
                                             ProcessLimits{number("memory"), number("seconds")});
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Failure::of(std::current_exception()).error(info.Env());
  }
}

// Runs on Node's thread: the process was started only for this module.
Napi::Value TracedHandle::logits(const Napi::CallbackInfo& info) {
  try {
    const auto logits = module_->logits(to_integers(info[0]));
    auto shape = Napi::Array::New(info.Env(), static_cast<size_t>(logits.dim()));
    for (int64_t axis = 0; axis < logits.dim(); ++axis) {
      shape.Set(static_cast<uint32_t>(axis), static_cast<double>(logits.size(axis)));
    }
    auto object = Napi::Object::New(info.Env());
    object.Set("data", to_float32_array(info.Env(), logits));
    object.Set("shape", shape);
    return object;
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Failure::of(std::current_exception()).error(info.Env());
  }
}

}  // namespace attention_bypass::binding
