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
#include "model/bypass.h"
#include "model/loading.h"
#include "score/scoring.h"

namespace attention_bypass::binding {

// Values as lib/native.ts types them. That layer has validated them, so that these only convert.
std::string to_string(const Napi::Value& value);
std::vector<std::string> to_strings(const Napi::Value& value);
std::vector<int64_t> to_integers(const Napi::Value& value);
std::vector<TokenRow> to_rows(const Napi::Value& value);
BypassPlan to_plan(const Napi::Value& value);
std::vector<BypassPlan> to_plans(const Napi::Value& value);
ModelConfig to_config(const Napi::Value& value);
WeightSource to_source(const Napi::Value& value);
Sampling to_sampling(const Napi::Value& value);
// Plans and settings of a request, without rows.
ScoringRequest to_scoring_request(const Napi::Value& value);
// Replaces the rows of a request.
void set_rows(ScoringRequest& request, const Napi::Value& value);
std::map<std::string, std::string> to_string_map(const Napi::Value& value);

Napi::Value to_float32_array(Napi::Env env, const std::vector<float>& values);
Napi::Value to_int32_array(Napi::Env env, const std::vector<int64_t>& values);
// The tensor's own memory, float32 on the CPU.
Napi::Value to_float32_array(Napi::Env env, const at::Tensor& tensor);
Napi::Value to_object(Napi::Env env, const ScoringResult& result);
Napi::Value to_object(Napi::Env env, const AttentionSurvey& survey);
// For each row, under each plan.
Napi::Value to_object(Napi::Env env, const std::vector<std::vector<Divergence>>& divergences);
Napi::Value to_object(Napi::Env env, const std::map<std::string, std::string>& values);

}  // namespace attention_bypass::binding
