#include "model.h"

#include <memory>
#include <ostream>

#include "file_sink.h"
#include "head_bypass.h"
#include "operations.h"

namespace attention_bypass {

Model::Block::Block(const Architecture::Block& parts, int64_t window, const at::TensorOptions& options,
                    OffloadedMatrices matrices)
    : parts_(parts),
      attention_norm_(parts.attention_norm.get_method("forward")),
      project_(parts.attention.get_method("project")),
      mix_(parts.attention.get_method("mix")),
      output_(parts.attention.get_method("output")),
      short_circuit_(parts.attention.get_method("short_circuit")),
      mlp_norm_(parts.mlp_norm.get_method("forward")),
      mlp_(parts.mlp.get_method("forward")),
      activate_(parts.mlp.get_method("activate")),
      window_(window),
      options_(options),
      matrices_(std::move(matrices)) {}

at::Tensor Model::Block::normed(const at::Tensor& hidden) const { return call(attention_norm_, hidden); }

Model::Projections Model::Block::project(const at::Tensor& normed, const at::Tensor& rotation) const {
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  const auto projected = project_({normed, rotation}).toTuple();
  const auto& parts = projected->elements();
  return {parts[0].toTensor(), parts[1].toTensor(), parts[2].toTensor()};
}

at::Tensor Model::Block::mix(const Projections& projections, const Visibility::Rule& rule) const {
  return call(mix_, projections.queries, projections.keys, projections.values, rule.mask, rule.causal);
}

at::Tensor Model::Block::bypassed(const BlockBypass& bypass,
                                  const std::function<at::Tensor()>& normed) const {
  if (bypass.mode == BypassMode::short_circuit) return call(short_circuit_, normed());
  if (bypass.mode == BypassMode::mean) return output(mean_values(bypass, options_).view({1, 1, -1}));
  return {};
}

at::Tensor Model::Block::mlp(const at::Tensor& hidden) const { return call(mlp_, mlp_normed(hidden)); }

Model::Weights Model::Block::weights() const {
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  const auto list = [](const torch::jit::Module& module) {
    return module.get_method("weights")({}).toTuple()->elements().vec();
  };
  const auto attention = list(parts_.attention);
  const auto mlp = list(parts_.mlp);
  const auto norm = [](const torch::jit::Module& module, const char* name) {
    return module.attr(name).toTensor();
  };
  return {attention[0].toTensor(),
          attention[1].toTensor(),
          attention[2].toTensor(),
          attention[3].toTensor(),
          attention[4].toTensor(),
          attention[5].toTensor(),
          attention[6].toTensor(),
          attention[7].toTensor(),
          norm(parts_.attention_norm, "weight"),
          norm(parts_.attention_norm, "bias"),
          mlp[0].toTensor(),
          mlp[1].toTensor(),
          mlp[2].toTensor(),
          norm(parts_.mlp_norm, "weight"),
          norm(parts_.mlp_norm, "bias")};
}

Model::Model(ModelConfig config, Architecture architecture, const Placement& placement)
    : config_(std::move(config)),
      placement_(placement),
      root_(std::move(architecture.root)),
      embed_(root_.get_method("embed")),
      rotation_(root_.get_method("rotation")),
      final_norm_(architecture.final_norm.get_method("forward")),
      token_embedding_(std::move(architecture.token_embedding)),
      output_embedding_(std::move(architecture.output_embedding)),
      final_scale_(architecture.final_norm.attr("weight").toTensor()),
      offloaded_(std::move(architecture.offloaded)) {
  const auto buffers = std::make_shared<MatrixBuffers>();
  for (const auto& parts : architecture.blocks) {
    auto matrices = placement.offload ? OffloadedMatrices({parts.attention, parts.mlp}, offloaded_,
                                                          placement.options, buffers)
                                      : OffloadedMatrices();
    blocks_.push_back(Block(parts, config_.windows[blocks_.size()], placement.options, std::move(matrices)));
  }
}

at::Tensor Model::embed(const at::Tensor& ids, const at::Tensor& positions) const {
  const auto found = offloaded_.find(token_embedding_._ivalue().get());
  if (found == offloaded_.end()) return call(embed_, ids, positions);
  // Only the rows of the tokens that occur are read; ids become places among these.
  const auto [tokens, places] = at::_unique(ids.to(at::kCPU), /*sorted=*/true, /*return_inverse=*/true);
  const auto* begin = tokens.const_data_ptr<int64_t>();
  auto module = token_embedding_;
  module.setattr("weight", found->second.read_rows({begin, begin + tokens.numel()}, dtype()).to(device()));
  return call(embed_, places.to(device()), positions);
}

at::Tensor Model::rotation(const at::Tensor& positions) const { return call(rotation_, positions); }

at::Tensor Model::output_embedding(int64_t begin, int64_t count) const {
  const auto found = offloaded_.find(output_embedding_._ivalue().get());
  if (found == offloaded_.end()) return output_embedding_.attr("weight").toTensor().narrow(0, begin, count);
  return found->second.read_rows(begin, count, dtype()).to(device());
}

at::Tensor Model::forward(const TokenBatch& batch, const BypassPlan& plan, KeyValueCache* cache,
                          Control& control, const StreamObserver& observe) const {
  const c10::InferenceMode inference;
  if (cache != nullptr) cache->extend(batch.key_positions, batch.even);
  Visibility visibility(batch.positions, cache != nullptr ? cache->key_positions() : batch.key_positions,
                        cache != nullptr ? cache->dense() : batch.even);
  at::Tensor hidden = embed(batch.ids, batch.positions);
  const at::Tensor turns = rotation(batch.positions);
  const Operations operations(config_);
  if (observe) observe(-1, hidden);

  for (int64_t index = 0; index < config_.block_count; ++index) {
    control.check();
    const auto at_work = block(index);
    const auto& bypass = plan[static_cast<size_t>(index)];
    const auto normed = [&] { return at_work->normed(hidden); };
    const auto attended = [&] {
      auto projections = at_work->project(normed(), turns);
      const auto own_values = projections.values;
      if (cache != nullptr) {
        std::tie(projections.keys, projections.values) =
            cache->store(index, projections.keys, projections.values);
      }
      const auto mixed = at_work->mix(projections, visibility.within(at_work->window()));
      return at_work->output(bypass.heads.empty() ? mixed : bypass_heads(bypass, mixed, own_values));
    };
    const at::Tensor contribution = bypass.attends() ? attended() : at_work->bypassed(bypass, normed);
    if (parallel_residual()) hidden.add_(at_work->mlp(hidden));
    if (contribution.defined()) hidden.add_(contribution);
    if (!parallel_residual()) hidden.add_(at_work->mlp(hidden));
    if (observe) observe(index, hidden);
    control.advance(operations.block() * static_cast<double>(batch.ids.numel()));
  }
  control.check();
  return hidden;
}

at::Tensor Model::unembed(const at::Tensor& hidden) const {
  const c10::InferenceMode inference;
  return at::linear(final_norm(hidden), output_embedding(0, config_.vocabulary_size)).to(at::kFloat);
}

void Model::save(const std::string& path, const std::map<std::string, std::string>& extra) const {
  const torch::jit::ExtraFilesMap files(extra.begin(), extra.end());
  FileSink sink(path);
  std::ostream out(&sink);
  root_.save(out, files);
  sink.finish();
}

}  // namespace attention_bypass
