#include "values.h"

#include <algorithm>

namespace attention_bypass::binding {

namespace {

int64_t to_integer(const Napi::Value& value) { return value.As<Napi::Number>().Int64Value(); }
double to_number(const Napi::Value& value) { return value.As<Napi::Number>().DoubleValue(); }
bool to_boolean(const Napi::Value& value) { return value.As<Napi::Boolean>().Value(); }

// value: a BigInt below 2^64.
uint64_t to_unsigned(const Napi::Value& value) {
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

std::vector<float> to_floats(const Napi::Value& value) {
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

BypassMode to_mode(const Napi::Value& value) {
  const auto name = to_string(value);
  if (name == "zero") return BypassMode::zero;
  if (name == "short-circuit") return BypassMode::short_circuit;
  if (name == "mean") return BypassMode::mean;
  if (name == "none") return BypassMode::none;
  throw Napi::TypeError::New(value.Env(), "expected the name of a bypass mode but received " + name);
}

std::vector<int64_t> to_numbers(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> numbers;
  for (uint32_t index = 0; index < array.Length(); ++index) numbers.push_back(to_integer(array[index]));
  return numbers;
}

Napi::Value to_float64_array(Napi::Env env, const std::vector<double>& values) {
  auto array = Napi::Float64Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value to_uint8_array(Napi::Env env, const std::vector<bool>& values) {
  auto array = Napi::Uint8Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace

std::string to_string(const Napi::Value& value) { return value.As<Napi::String>(); }

std::vector<std::string> to_strings(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t index = 0; index < array.Length(); ++index) strings.push_back(to_string(array[index]));
  return strings;
}

std::vector<int64_t> to_integers(const Napi::Value& value) {
  const auto array = value.As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<TokenRow> to_rows(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  const auto tokens = to_integers(object.Get("tokens"));
  std::vector<TokenRow> rows;
  auto begin = tokens.begin();
  for (const auto length : to_integers(object.Get("lengths"))) {
    rows.emplace_back(begin, begin + length);
    begin += length;
  }
  return rows;
}

BypassPlan to_plan(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  BypassPlan plan;
  for (uint32_t index = 0; index < array.Length(); ++index) {
    const auto object = static_cast<Napi::Value>(array[index]).As<Napi::Object>();
    const auto heads = object.Get("heads").As<Napi::Uint8Array>();
    BlockBypass bypass;
    bypass.attention.mode = to_mode(object.Get("mode"));
    bypass.attention.heads.assign(heads.Data(), heads.Data() + heads.ElementLength());
    bypass.attention.mean = to_floats(object.Get("mean"));
    bypass.mlp.mode = to_mode(object.Get("mlpMode"));
    bypass.mlp.mean = to_floats(object.Get("mlpMean"));
    plan.push_back(std::move(bypass));
  }
  return plan;
}

std::vector<BypassPlan> to_plans(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<BypassPlan> plans;
  for (uint32_t index = 0; index < array.Length(); ++index) plans.push_back(to_plan(array[index]));
  return plans;
}

ModelConfig to_config(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  ModelConfig config;
  config.family = to_string(object.Get("family"));
  config.block_count = to_integer(object.Get("blockCount"));
  config.hidden_size = to_integer(object.Get("hiddenSize"));
  config.head_count = to_integer(object.Get("headCount"));
  config.intermediate_size = to_integer(object.Get("intermediateSize"));
  config.vocabulary_size = to_integer(object.Get("vocabularySize"));
  config.context_length = to_integer(object.Get("contextLength"));
  config.activation = to_string(object.Get("activation"));
  config.norm_epsilon = to_number(object.Get("normEpsilon"));
  config.tied_embedding = to_boolean(object.Get("tiedEmbedding"));
  config.windows = to_integers(object.Get("windows"));
  config.parallel_residual = to_boolean(object.Get("parallelResidual"));
  config.attention_bias = to_boolean(object.Get("attentionBias"));
  config.zero_attention_bias = to_boolean(object.Get("zeroAttentionBias"));
  const auto heads = object.Get("shortCircuited").As<Napi::Uint8Array>();
  for (size_t begin = 0; begin < heads.ElementLength(); begin += static_cast<size_t>(config.head_count)) {
    const auto* of_block = heads.Data() + begin;
    config.short_circuited.emplace_back(of_block, of_block + config.head_count);
  }
  config.rotary_size = to_integer(object.Get("rotarySize"));
  config.rotary_base = to_number(object.Get("rotaryBase"));
  config.attention_scale = to_number(object.Get("attentionScale"));
  return config;
}

WeightSource to_source(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  WeightSource source;
  const auto files = object.Get("files").As<Napi::Array>();
  for (uint32_t index = 0; index < files.Length(); ++index) {
    const auto given = static_cast<Napi::Value>(files[index]).As<Napi::Object>();
    source.files.push_back(
        {to_string(given.Get("path")),
         {to_unsigned(given.Get("device")), to_unsigned(given.Get("inode")), to_unsigned(given.Get("size")),
          static_cast<int64_t>(to_unsigned(given.Get("modified")))}});
  }
  const auto tensors = object.Get("tensors").As<Napi::Array>();
  for (uint32_t index = 0; index < tensors.Length(); ++index) {
    const auto given = static_cast<Napi::Value>(tensors[index]).As<Napi::Object>();
    WeightSource::Tensor tensor;
    tensor.name = to_string(given.Get("name"));
    tensor.dtype = to_string(given.Get("dtype"));
    tensor.shape = to_numbers(given.Get("shape"));
    tensor.strides = to_numbers(given.Get("strides"));
    tensor.file = static_cast<size_t>(to_integer(given.Get("file")));
    tensor.begin = static_cast<uint64_t>(to_integer(given.Get("begin")));
    tensor.end = static_cast<uint64_t>(to_integer(given.Get("end")));
    source.tensors.push_back(std::move(tensor));
  }
  return source;
}

Sampling to_sampling(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  return {to_number(object.Get("temperature")), to_integer(object.Get("topK")),
          to_number(object.Get("topP"))};
}

ScoringRequest to_scoring_request(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  ScoringRequest request;
  request.plans = std::make_shared<const std::vector<BypassPlan>>(to_plans(object.Get("plans")));
  const auto scheme = object.Get("scheme").As<Napi::Object>();
  request.scheme = {to_number(scheme.Get("temperature")), to_integer(scheme.Get("topK"))};
  request.top = to_integer(object.Get("top"));
  request.memory = to_integer(object.Get("memory"));
  request.effects = object.Get("effects").ToBoolean().Value();
  return request;
}

void set_rows(ScoringRequest& request, const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  request.scorable = {to_rows(object.Get("rows")), to_integers(object.Get("first")),
                      to_integers(object.Get("groups"))};
  request.decode = to_boolean(object.Get("decode"));
}

std::map<std::string, std::string> to_string_map(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  std::map<std::string, std::string> values;
  for (const auto& name : to_strings(object.GetPropertyNames()))
    values.emplace(name, to_string(object.Get(name)));
  return values;
}

Napi::Value to_float32_array(Napi::Env env, const std::vector<float>& values) {
  auto array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value to_int32_array(Napi::Env env, const std::vector<int64_t>& values) {
  auto array = Napi::Int32Array::New(env, values.size());
  std::transform(values.begin(), values.end(), array.Data(),
                 [](int64_t value) { return static_cast<int32_t>(value); });
  return array;
}

Napi::Value to_float32_array(Napi::Env env, const at::Tensor& tensor) {
  // If creating the buffer fails, Node may or may not have called the finalizer. `released` tells whether it
  // did, so that the tensor is freed exactly once.
  struct Kept {
    at::Tensor tensor;
    std::shared_ptr<bool> released;
  };
  const auto count = static_cast<size_t>(tensor.numel());
  if (count == 0) return Napi::Float32Array::New(env, 0);
  const auto released = std::make_shared<bool>(false);
  auto kept = std::make_unique<Kept>(Kept{tensor, released});
  const auto release = [](napi_env, void*, void* hint) {
    const std::unique_ptr<Kept> owned(static_cast<Kept*>(hint));
    *owned->released = true;
  };
  napi_value buffer = nullptr;
  const auto status = napi_create_external_arraybuffer(env, tensor.data_ptr<float>(), count * sizeof(float),
                                                       release, kept.get(), &buffer);
  if (status == napi_ok || *released) (void)kept.release();
  if (status == napi_ok) return Napi::Float32Array::New(env, count, Napi::ArrayBuffer(env, buffer), 0);
  // Some hosts do not allow external memory, so the numbers are copied.
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(env, &exception);
  }
  auto copy = Napi::Float32Array::New(env, count);
  std::copy_n(tensor.const_data_ptr<float>(), count, copy.Data());
  return copy;
}

Napi::Value to_object(Napi::Env env, const ScoringResult& result) {
  auto plans = Napi::Array::New(env, result.plans.size());
  for (size_t plan = 0; plan < result.plans.size(); ++plan) {
    const auto& scores = result.plans[plan];
    auto object = Napi::Object::New(env);
    object.Set("logLikelihood", to_float32_array(env, scores.log_likelihood));
    object.Set("entropy", to_float32_array(env, scores.entropy));
    object.Set("schemeLogLikelihood", to_float32_array(env, scores.scheme_log_likelihood));
    object.Set("margin", to_float32_array(env, scores.margin));
    object.Set("predicted", to_int32_array(env, scores.predicted));
    object.Set("decoded", to_int32_array(env, scores.decoded));
    object.Set("topTokens", to_int32_array(env, scores.top_tokens));
    object.Set("topLogProbabilities", to_float32_array(env, scores.top_log_probabilities));
    plans.Set(static_cast<uint32_t>(plan), object);
  }
  auto object = Napi::Object::New(env);
  object.Set("plans", plans);
  object.Set("operations", result.operations);
  return object;
}

static Napi::Value to_object(Napi::Env env, const SuffixSums& sums) {
  auto object = Napi::Object::New(env);
  object.Set("logLikelihood", to_float64_array(env, sums.log_likelihood));
  object.Set("logit", to_float64_array(env, sums.logit));
  return object;
}

Napi::Value to_object(Napi::Env env, const std::vector<PlanEffects>& effects) {
  auto plans = Napi::Array::New(env, effects.size());
  for (size_t plan = 0; plan < effects.size(); ++plan) {
    const auto& measured = effects[plan];
    auto object = Napi::Object::New(env);
    object.Set("total", to_object(env, measured.total));
    object.Set("direct", to_object(env, measured.direct));
    object.Set("frozen", to_object(env, measured.frozen));
    object.Set("contributions", to_float64_array(env, measured.contributions));
    object.Set("frozenContributions", to_float64_array(env, measured.frozen_contributions));
    plans.Set(static_cast<uint32_t>(plan), object);
  }
  return plans;
}

Napi::Value to_object(Napi::Env env, const AttentionSurvey& survey) {
  auto blocks = Napi::Array::New(env, survey.blocks.size());
  for (size_t index = 0; index < survey.blocks.size(); ++index) {
    const auto& block = survey.blocks[index];
    auto object = Napi::Object::New(env);
    object.Set("share", block.share);
    object.Set("heads", to_float64_array(env, block.heads));
    object.Set("mean", to_float64_array(env, block.mean));
    object.Set("mlpMean", to_float64_array(env, block.mlp_mean));
    blocks.Set(static_cast<uint32_t>(index), object);
  }
  auto object = Napi::Object::New(env);
  object.Set("blocks", blocks);
  object.Set("tokens", static_cast<double>(survey.tokens));
  return object;
}

static Napi::Value to_object(Napi::Env env, const Divergence& divergence) {
  auto blocks = Napi::Array::New(env, divergence.blocks.size());
  for (size_t index = 0; index < divergence.blocks.size(); ++index) {
    const auto& block = divergence.blocks[index];
    auto object = Napi::Object::New(env);
    object.Set("stream", to_float64_array(env, block.stream));
    object.Set("distance", to_float64_array(env, block.distance));
    object.Set("bound", to_float64_array(env, block.bound));
    object.Set("contribution", to_float64_array(env, block.contribution));
    object.Set("contributionBound", block.contribution_bound);
    blocks.Set(static_cast<uint32_t>(index), object);
  }
  auto output = Napi::Object::New(env);
  output.Set("divergence", to_float64_array(env, divergence.divergence));
  output.Set("bound", to_float64_array(env, divergence.divergence_bound));
  output.Set("changed", to_uint8_array(env, divergence.changed));
  output.Set("certain", to_uint8_array(env, divergence.certain));
  auto object = Napi::Object::New(env);
  object.Set("blocks", blocks);
  object.Set("output", output);
  return object;
}

Napi::Value to_object(Napi::Env env, const std::vector<std::vector<Divergence>>& divergences) {
  auto rows = Napi::Array::New(env, divergences.size());
  for (size_t row = 0; row < divergences.size(); ++row) {
    auto plans = Napi::Array::New(env, divergences[row].size());
    for (size_t plan = 0; plan < divergences[row].size(); ++plan) {
      plans.Set(static_cast<uint32_t>(plan), to_object(env, divergences[row][plan]));
    }
    rows.Set(static_cast<uint32_t>(row), plans);
  }
  return rows;
}

Napi::Value to_object(Napi::Env env, const std::map<std::string, std::string>& values) {
  auto object = Napi::Object::New(env);
  for (const auto& [name, value] : values) object.Set(name, value);
  return object;
}

// Returns the dtype's name in safetensors.
static std::string dtype_name(at::ScalarType type) {
  return type == at::kHalf ? "F16" : type == at::kBFloat16 ? "BF16" : "F32";
}

Napi::Value to_object(Napi::Env env, const std::vector<NamedWeights::Description>& weights) {
  auto list = Napi::Array::New(env, weights.size());
  for (size_t index = 0; index < weights.size(); ++index) {
    const auto& [name, type, shape] = weights[index];
    auto sizes = Napi::Array::New(env, shape.size());
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      sizes.Set(static_cast<uint32_t>(axis), static_cast<double>(shape[axis]));
    }
    auto object = Napi::Object::New(env);
    object.Set("name", name);
    object.Set("dtype", dtype_name(type));
    object.Set("shape", sizes);
    list.Set(static_cast<uint32_t>(index), object);
  }
  return list;
}

}  // namespace attention_bypass::binding
