#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/control.h"
#include "decode/sampling.h"
#include "measure/attention_survey.h"
#include "measure/divergence.h"
#include "measure/effects.h"
#include "model/bypass.h"
#include "model/loading.h"
#include "model/named_weights.h"
#include "score/scoring.h"

namespace attention_bypass::binding {

// Conversions between C++ and the types of lib/addon/native.ts. TypeScript has validated all arguments.
std::string to_string(const Napi::Value& value);
std::vector<std::string> to_strings(const Napi::Value& value);
std::vector<int64_t> to_integers(const Napi::Value& value);
std::vector<TokenRow> to_rows(const Napi::Value& value);
BypassPlan to_plan(const Napi::Value& value);
std::vector<BypassPlan> to_plans(const Napi::Value& value);
ModelConfig to_config(const Napi::Value& value);
WeightSource to_source(const Napi::Value& value);
Sampling to_sampling(const Napi::Value& value);
// Returns a request with plans and settings, without rows.
ScoringRequest to_scoring_request(const Napi::Value& value);
// Replaces the rows of a request.
void set_rows(ScoringRequest& request, const Napi::Value& value);
std::map<std::string, std::string> to_string_map(const Napi::Value& value);

Napi::Value to_float32_array(Napi::Env env, const std::vector<float>& values);
Napi::Value to_int32_array(Napi::Env env, const std::vector<int64_t>& values);
// Returns an array on the memory of a tensor, float32 on the CPU, or a copy if the host allows no external
// memory.
Napi::Value to_float32_array(Napi::Env env, const at::Tensor& tensor);
Napi::Value to_object(Napi::Env env, const ScoringResult& result);
// effects: of each plan.
Napi::Value to_object(Napi::Env env, const std::vector<PlanEffects>& effects);
Napi::Value to_object(Napi::Env env, const AttentionSurvey& survey);
// divergences: [row][plan].
Napi::Value to_object(Napi::Env env, const std::vector<std::vector<Divergence>>& divergences);
Napi::Value to_object(Napi::Env env, const std::map<std::string, std::string>& values);
Napi::Value to_object(Napi::Env env, const std::vector<NamedWeights::Description>& weights);

}  // namespace attention_bypass::binding
