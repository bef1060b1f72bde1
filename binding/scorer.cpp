#include "score/scoring.h"

#include <memory>

#include "errors.h"
#include "handles.h"
#include "measure/effects.h"
#include "values.h"

namespace attention_bypass::binding {

Napi::Function ScorerHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Scorer",
      {InstanceMethod<&ScorerHandle::take>("take"), InstanceMethod<&ScorerHandle::score>("score"),
       InstanceMethod<&ScorerHandle::effects>("effects")});
}

ScorerHandle::ScorerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ScorerHandle>(info), request_(to_scoring_request(info[1])) {
  auto* owner = ModelHandle::Unwrap(info[0].As<Napi::Object>());
  queue_ = owner->queue_;
  model_ = owner->model_;
  loaded_ = owner->loaded_;
}

Napi::Value ScorerHandle::take(const Napi::CallbackInfo& info) {
  try {
    set_rows(request_, info[0]);
    const auto groups = groups_that_fit(**loaded_, request_);
    request_.scorable.keep_groups(groups);
    return Napi::Number::New(info.Env(), static_cast<double>(groups));
  } catch (...) {
    throw Failure::of(std::current_exception()).error(info.Env());
  }
}

Napi::Value ScorerHandle::score(const Napi::CallbackInfo& info) {
  const Controlled given(info[0]);
  const auto work = [model = model_, request = request_, control = given.control]() -> JobQueue::MakeValue {
    const auto result = attention_bypass::score(**model, request, *control);
    return [result](Napi::Env env) { return to_object(env, result); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ScorerHandle::effects(const Napi::CallbackInfo& info) {
  const Controlled given(info[0]);
  const auto work = [model = model_, request = request_, control = given.control]() -> JobQueue::MakeValue {
    const auto effects = measure_effects(**model, request, *control);
    return [effects](Napi::Env env) { return to_object(env, effects); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

}  // namespace attention_bypass::binding
