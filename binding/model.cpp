#include <ATen/Parallel.h>

#include "base/device.h"
#include "base/error.h"
#include "handles.h"
#include "model/bypassed_weights.h"
#include "model/loading.h"
#include "model/named_weights.h"
#include "score/logits.h"
#include "values.h"

namespace attention_bypass::binding {

Napi::Function ModelHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Model",
      {InstanceMethod<&ModelHandle::load>("load"), InstanceMethod<&ModelHandle::widen>("widen"),
       InstanceMethod<&ModelHandle::save>("save"), InstanceMethod<&ModelHandle::weights>("weights"),
       InstanceMethod<&ModelHandle::saveWeights>("saveWeights"),
       InstanceMethod<&ModelHandle::logits>("logits"), InstanceMethod<&ModelHandle::attention>("attention"),
       InstanceMethod<&ModelHandle::diverge>("diverge"), InstanceMethod<&ModelHandle::close>("close")});
}

ModelHandle::ModelHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ModelHandle>(info), queue_(JobQueue::create(info.Env())) {}

Napi::Value ModelHandle::load(const Napi::CallbackInfo& info) {
  const auto options = info[2].As<Napi::Object>();
  const Controlled given(info[3]);
  auto weights = to_source(info[1]);
  weights.allow_non_finite = options.Get("allowNonFinite").As<Napi::Boolean>().Value();
  const auto work = [model = model_, config = to_config(info[0]), source = std::move(weights),
                     device = to_string(options.Get("device")), dtype = to_string(options.Get("dtype")),
                     threads = options.Get("threads").As<Napi::Number>().Int32Value(),
                     offload = options.Get("offload").As<Napi::Boolean>().Value(), control = given.control,
                     loaded = loaded_]() -> JobQueue::MakeValue {
    // The number of threads is set for each thread. The static reads libtorch's default before any model
    // changes it.
    static const int default_threads = at::get_num_threads();
    at::set_num_threads(threads > 0 ? threads : default_threads);
    const Placement placement{at::TensorOptions(device_of(device)).dtype(dtype_of(dtype)), offload};
    *model = load_model(config, source, placement, *control);
    return [loaded, model = *model](Napi::Env env) {
      *loaded = model;
      return Napi::Boolean::New(env, model->exact());
    };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::widen(const Napi::CallbackInfo& info) {
  const auto from = *Unwrap(info[0].As<Napi::Object>())->loaded_;
  const auto work = [model = model_, from, threads = info[1].As<Napi::Number>().Int32Value(),
                     loaded = loaded_]() -> JobQueue::MakeValue {
    if (!from) throw Error("DISPOSED", "expected a model in use but it has been disposed of");
    at::set_num_threads(threads);
    *model = from->in_float32();
    return [loaded, model = *model](Napi::Env env) {
      *loaded = model;
      return env.Undefined();
    };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

Napi::Value ModelHandle::save(const Napi::CallbackInfo& info) {
  const Controlled given(info[3]);
  const auto work = [model = model_, path = to_string(info[0]), extra = to_string_map(info[1]),
                     plan = to_plan(info[2])]() -> JobQueue::MakeValue {
    write_bypass((*model)->architecture(), plan);
    (*model)->save(path, extra);
    return [](Napi::Env env) { return env.Undefined(); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::weights(const Napi::CallbackInfo& info) {
  const auto work = [model = model_]() -> JobQueue::MakeValue {
    const auto list = NamedWeights(**model, {}).list();
    return [list](Napi::Env env) { return to_object(env, list); };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

Napi::Value ModelHandle::saveWeights(const Napi::CallbackInfo& info) {
  const Controlled given(info[4]);
  const auto work = [model = model_, path = to_string(info[0]), header = to_string(info[1]),
                     names = to_strings(info[2]), plan = to_plan(info[3]),
                     control = given.control]() -> JobQueue::MakeValue {
    NamedWeights(**model, plan).write(path, header, names, *control);
    return [](Napi::Env env) { return env.Undefined(); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::logits(const Napi::CallbackInfo& info) {
  const Controlled given(info[2]);
  const auto work = [model = model_, rows = to_rows(info[0]), plan = to_plan(info[1]),
                     control = given.control]() -> JobQueue::MakeValue {
    auto logits = compute_logits(**model, rows, plan, *control);
    return [logits](Napi::Env env) { return to_float32_array(env, logits); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::attention(const Napi::CallbackInfo& info) {
  const Controlled given(info[1]);
  const auto work = [model = model_, rows = to_rows(info[0]),
                     control = given.control]() -> JobQueue::MakeValue {
    const auto survey = survey_attention(**model, rows, *control);
    return [survey](Napi::Env env) { return to_object(env, survey); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::diverge(const Napi::CallbackInfo& info) {
  const Controlled given(info[2]);
  const auto work = [model = model_, rows = to_rows(info[0]), plans = to_plans(info[1]),
                     control = given.control]() -> JobQueue::MakeValue {
    const auto divergences = attention_bypass::diverge(**model, rows, plans, *control);
    return [divergences](Napi::Env env) { return to_object(env, divergences); };
  };
  return queue_->submit(info.Env(), work, given.control, given.on_progress);
}

Napi::Value ModelHandle::close(const Napi::CallbackInfo& info) {
  // The weights are freed on the queue's thread. A load that is not settled yet sets loaded_ again, so the
  // job resets it too.
  loaded_->reset();
  const auto work = [model = model_, queue = queue_, loaded = loaded_]() -> JobQueue::MakeValue {
    model->reset();
    return [queue, loaded](Napi::Env env) {
      loaded->reset();
      queue->end();
      return env.Undefined();
    };
  };
  return queue_->submit(info.Env(), work, std::make_shared<Control>(), info.Env().Undefined());
}

}  // namespace attention_bypass::binding
