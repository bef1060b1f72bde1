#include "model/model.h"

#include <memory>
#include <ostream>

#include "base/file_sink.h"

namespace attention_bypass {

namespace {

at::Tensor call(const torch::jit::Method& method, std::vector<c10::IValue> arguments) {
  // No specialized graphs: making them costs more than they save, since kernels take most of the time.
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  return method(std::move(arguments)).toTensor();
}

}  // namespace

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
    blocks_.emplace_back(parts, config_.windows[blocks_.size()], config_.parallel_residual,
                         std::move(matrices));
  }
}

at::Tensor Model::embed(const at::Tensor& ids, const at::Tensor& positions) const {
  const auto found = offloaded_.find(token_embedding_._ivalue().get());
  if (found == offloaded_.end()) return call(embed_, {ids, positions});
  // Reads only the rows of tokens that occur; ids become indices of these rows.
  const auto [tokens, indices] = at::_unique(ids.to(at::kCPU), /*sorted=*/true, /*return_inverse=*/true);
  const auto* begin = tokens.const_data_ptr<int64_t>();
  auto module = token_embedding_;
  module.setattr("weight", found->second.read_rows({begin, begin + tokens.numel()}, dtype()).to(device()));
  return call(embed_, {indices.to(device()), positions});
}

Positions Model::positions(const at::Tensor& values) const { return {values, call(rotation_, {values})}; }

at::Tensor Model::final_norm(const at::Tensor& stream) const { return call(final_norm_, {stream}); }

at::Tensor Model::output_embedding(int64_t begin, int64_t count) const {
  const auto found = offloaded_.find(output_embedding_._ivalue().get());
  if (found == offloaded_.end()) return output_embedding_.attr("weight").toTensor().narrow(0, begin, count);
  return found->second.read_rows(begin, count, dtype()).to(device());
}

at::Tensor Model::unembed(const at::Tensor& stream) const {
  const c10::InferenceMode inference;
  return at::linear(final_norm(stream), output_embedding(0, config_.vocabulary_size)).to(at::kFloat);
}

void Model::save(const std::string& path, const std::map<std::string, std::string>& extra) const {
  const torch::jit::ExtraFilesMap files(extra.begin(), extra.end());
  FileSink sink(path);
  std::ostream out(&sink);
  root_.save(out, files);
  sink.finish();
}

}  // namespace attention_bypass
