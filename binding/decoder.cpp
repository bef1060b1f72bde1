#include "handles.h"
#include "values.h"

namespace attention_bypass::binding {

Napi::Function DecoderHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Decoder",
      {InstanceMethod<&DecoderHandle::next>("next"), InstanceMethod<&DecoderHandle::keep_rows>("keepRows"),
       InstanceMethod<&DecoderHandle::close>("close")});
}

DecoderHandle::DecoderHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DecoderHandle>(info) {
  auto* owner = ModelHandle::Unwrap(info[0].As<Napi::Object>());
  queue_ = owner->queue_;
  const auto fields = info[3].As<Napi::Object>();
  Decoder::Options options;
  options.plan = to_plan(info[2]);
  options.max_new_tokens = fields.Get("maxNewTokens").As<Napi::Number>().Int64Value();
  options.sampling = to_sampling(info[3]);
  const auto seeds = fields.Get("seeds").As<Napi::Float64Array>();
  for (size_t row = 0; row < seeds.ElementLength(); ++row)
    options.seeds.push_back(static_cast<uint64_t>(seeds[row]));
  // The cache is set aside on the queue's thread, by the first step.
  make_ = [model = owner->model_, rows = to_rows(info[1]), options = std::move(options)] {
    return std::make_unique<Decoder>(*model, rows, options);
  };
}

Napi::Value DecoderHandle::next(const Napi::CallbackInfo& info) {
  const Controlled given(info[0]);
  const auto work = [decoder = decoder_, make = make_, control = given.control]() -> JobQueue::Settle {
    if (!*decoder) *decoder = make();
    return [step = (*decoder)->next(*control)](Napi::Env env) {
      auto object = Napi::Object::New(env);
      object.Set("tokens", to_int32_array(env, step.tokens));
      object.Set("logProbabilities", to_float32_array(env, step.log_probabilities));
      return object;
    };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value DecoderHandle::keep_rows(const Napi::CallbackInfo& info) {
  const auto work = [decoder = decoder_, rows = to_integers(info[0])]() -> JobQueue::Settle {
    (*decoder)->keep_rows(rows);
    return [](Napi::Env env) { return env.Undefined(); };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

Napi::Value DecoderHandle::close(const Napi::CallbackInfo& info) {
  if (queue_->ended()) {
    decoder_->reset();
    const auto closed = Napi::Promise::Deferred::New(info.Env());
    closed.Resolve(info.Env().Undefined());
    return closed.Promise();
  }
  const auto work = [decoder = decoder_]() -> JobQueue::Settle {
    decoder->reset();
    return [](Napi::Env env) { return env.Undefined(); };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

}  // namespace attention_bypass::binding
