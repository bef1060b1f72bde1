#include "base/error.h"
#include "errors.h"
#include "handles.h"
#include "values.h"

namespace attention_bypass::binding {

namespace {

Napi::Object to_object(Napi::Env env, const RankedToken& ranked) {
  auto object = Napi::Object::New(env);
  object.Set("token", static_cast<double>(ranked.token));
  object.Set("logProbability", ranked.log_probability);
  return object;
}

}  // namespace

Napi::Function GeneratorHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Generator",
      {InstanceMethod<&GeneratorHandle::add>("add"), InstanceMethod<&GeneratorHandle::step>("step"),
       InstanceMethod<&GeneratorHandle::remove>("remove")});
}

GeneratorHandle::GeneratorHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<GeneratorHandle>(info) {
  auto* owner = ModelHandle::Unwrap(info[0].As<Napi::Object>());
  queue_ = owner->queue_;
  model_ = owner->model_;
}

Napi::Value GeneratorHandle::add(const Napi::CallbackInfo& info) {
  const auto fields = info[2].As<Napi::Object>();
  Generator::Request request;
  request.prompts = to_rows(info[0]);
  request.plan = to_plan(info[1]);
  request.max_new_tokens = fields.Get("maxNewTokens").As<Napi::Number>().Int64Value();
  request.sampling = to_sampling(info[2]);
  request.top = fields.Get("top").As<Napi::Number>().Int64Value();
  const auto seeds = fields.Get("seeds").As<Napi::Float64Array>();
  for (size_t row = 0; row < seeds.ElementLength(); ++row) {
    request.seeds.push_back(static_cast<uint64_t>(seeds[row]));
  }
  const auto work = [state = state_, model = model_, request = std::move(request)]() -> JobQueue::MakeValue {
    if (!state->generator) state->generator = std::make_unique<Generator>(*model, state->next_row);
    const auto ids = state->generator->add(request);
    state->next_row = state->generator->next();
    return [ids](Napi::Env env) { return to_int32_array(env, ids); };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

Napi::Value GeneratorHandle::step(const Napi::CallbackInfo& info) {
  const Controlled given(info[1]);
  const auto work = [state = state_, ids = to_integers(info[0]),
                     control = given.control]() -> JobQueue::MakeValue {
    if (!state->generator) throw Error("DISPOSED", "expected a model in use but it has been disposed of");
    return [tokens = state->generator->step(ids, *control)](Napi::Env env) {
      auto rows = Napi::Array::New(env, tokens.size());
      for (size_t row = 0; row < tokens.size(); ++row) {
        const auto& next = tokens[row];
        if (next.pending) {
          rows.Set(static_cast<uint32_t>(row), env.Null());
          continue;
        }
        auto object = to_object(env, RankedToken{next.token, next.log_probability});
        auto top = Napi::Array::New(env, next.top.size());
        for (size_t rank = 0; rank < next.top.size(); ++rank) {
          top.Set(static_cast<uint32_t>(rank), to_object(env, next.top[rank]));
        }
        object.Set("top", top);
        if (next.failure) {
          object.Set("failure", Failure::of(std::make_exception_ptr(*next.failure)).error(env).Value());
        }
        rows.Set(static_cast<uint32_t>(row), object);
      }
      return rows;
    };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value GeneratorHandle::remove(const Napi::CallbackInfo& info) {
  const auto ids = to_integers(info[0]);
  const auto work = [state = state_, ids]() -> JobQueue::MakeValue {
    if (state->generator) {
      state->generator->remove(ids);
      // An empty generator would keep the weights of a closed model in memory.
      if (state->generator->empty()) state->generator.reset();
    }
    return [](Napi::Env env) { return env.Undefined(); };
  };
  if (queue_->ended()) {
    state_->generator.reset();
    const auto removed = Napi::Promise::Deferred::New(info.Env());
    removed.Resolve(info.Env().Undefined());
    return removed.Promise();
  }
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

}  // namespace attention_bypass::binding
