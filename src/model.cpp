#include "model.h"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include <optional>

#include "visibility.h"

namespace attention_bypass {

namespace {

template <typename... Arguments>
at::Tensor call(const torch::jit::Method& method, Arguments&&... arguments) {
  return method({std::forward<Arguments>(arguments)...}).toTensor();
}

}  // namespace

Model::Model(ModelConfig config, Architecture architecture, const at::TensorOptions& options)
    : config_(std::move(config)),
      root_(std::move(architecture.root)),
      options_(options),
      embed_(root_.get_method("embed")),
      rotation_(root_.get_method("rotation")),
      unembed_(root_.get_method("unembed")) {
  for (const auto& block : architecture.blocks) {
    blocks_.push_back({block.attention_norm.get_method("forward"), block.attention.get_method("project"),
                       block.attention.get_method("attend"), block.attention.get_method("short_circuit"),
                       block.mlp_norm.get_method("forward"), block.mlp.get_method("forward"),
                       config_.windows[blocks_.size()]});
  }
}

at::Tensor Model::forward(const TokenBatch& batch, const BypassPlan& plan, KeyValueCache* cache,
                          Control& control) const {
  const c10::InferenceMode inference;
  // Specializing the graphs for each shape costs more than it brings: the time is in the kernels.
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  if (cache != nullptr) cache->extend(batch.key_positions, batch.even);
  Visibility visibility(batch.positions, cache != nullptr ? cache->key_positions() : batch.key_positions,
                        cache != nullptr ? cache->dense() : batch.even);
  at::Tensor hidden = call(embed_, batch.ids, batch.positions);
  const at::Tensor rotation = call(rotation_, batch.positions);

  const auto attend = [&](size_t index) {
    const auto& block = blocks_[index];
    const at::Tensor normed = call(block.attention_norm, hidden);
    if (plan[index] == BypassMode::short_circuit) return call(block.short_circuit, normed);
    const auto projected = block.project({normed, rotation}).toTuple();
    at::Tensor keys = projected->elements()[1].toTensor();
    at::Tensor values = projected->elements()[2].toTensor();
    if (cache != nullptr) std::tie(keys, values) = cache->store(static_cast<int64_t>(index), keys, values);
    const auto& rule = visibility.within(block.window);
    return call(block.attend, projected->elements()[0].toTensor(), keys, values, rule.mask, rule.causal);
  };

  for (size_t index = 0; index < blocks_.size(); ++index) {
    control.check();
    const auto& block = blocks_[index];
    const bool attends = plan[index] != BypassMode::zero;
    if (config_.family == Family::gpt_neox && config_.parallel_residual) {
      const at::Tensor attended = attends ? attend(index) : at::Tensor();
      at::Tensor sum = call(block.mlp, call(block.mlp_norm, hidden));
      if (attends) sum.add_(attended);
      hidden = sum.add_(hidden);
    } else {
      if (attends) hidden = attend(index).add_(hidden);
      hidden = call(block.mlp, call(block.mlp_norm, hidden)).add_(hidden);
    }
    control.advance(static_cast<double>(batch.ids.numel()));
  }
  control.check();
  return hidden;
}

at::Tensor Model::unembed(const at::Tensor& hidden) const {
  const c10::InferenceMode inference;
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  return call(unembed_, hidden).to(at::kFloat);
}

void Model::save(const std::string& path, const std::map<std::string, std::string>& extra) const {
  const torch::jit::ExtraFilesMap files(extra.begin(), extra.end());
  root_.save(path, files);
}

}  // namespace attention_bypass
