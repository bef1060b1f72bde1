#include "model/model.h"

#include <memory>
#include <ostream>

#include "base/device.h"
#include "base/file_sink.h"
#include "base/operations.h"
#include "base/transfer.h"
#include "model/rotary.h"
#include "product/product.h"

namespace attention_bypass {

namespace {

at::Tensor weight(const torch::jit::Module& module) { return module.attr("weight").toTensor(); }

}  // namespace

Model::Model(ModelConfig config, Architecture architecture, const Placement& placement)
    : config_(std::move(config)), placement_(placement), architecture_(std::move(architecture)) {
  const auto& frequencies = architecture_.rotary_frequencies;
  constexpr int64_t most_positions = 1 << 17;
  if (operators_only(device()) && frequencies.defined() && config_.context_length <= most_positions) {
    const auto all = at::arange(config_.context_length, frequencies.options().dtype(at::kLong)).unsqueeze(0);
    rotation_table_ = rotations(all, frequencies).select(2, 0).select(0, 0).transpose(0, 1).contiguous();
  }
  const auto buffers = placement.offload ? std::make_shared<MatrixBuffers>(placement.options) : nullptr;
  for (const auto& parts : architecture_.blocks) {
    const std::vector<torch::jit::Module> modules{parts.attention.module, parts.mlp.module()};
    auto offloaded = placement.offload ? OffloadedMatrices(modules, architecture_.offloaded, buffers)
                                       : OffloadedMatrices();
    auto widened =
        arithmetic().dtype() == placement.options.dtype() ? WidenedMatrices() : WidenedMatrices(modules);
    blocks_.emplace_back(parts, config_, blocks_.size(), std::move(offloaded), std::move(widened));
  }
}

at::Tensor Model::embed(const at::Tensor& ids, const at::Tensor& positions) const {
  auto tokens = embedding_rows(architecture_.token_embedding, ids);
  if (!architecture_.position_embedding) return tokens;
  return tokens + embedding_rows(*architecture_.position_embedding, positions);
}

at::Tensor Model::embedding_rows(const torch::jit::Module& embedding, const at::Tensor& ids) const {
  // The residual stream of half-precision models is float32.
  const auto stream_type = dtype() == at::kDouble ? at::kDouble : at::kFloat;
  const auto rows = [stream_type](const at::Tensor& table, const at::Tensor& indices) {
    const auto found = at::embedding(table, indices);
    return found.scalar_type() == stream_type ? found : found.to(stream_type);
  };
  const auto found = architecture_.offloaded.find(embedding._ivalue().get());
  if (found == architecture_.offloaded.end()) return rows(weight(embedding), ids);
  // Reads only the rows of tokens that occur; ids become indices of these rows.
  const auto [distinct, indices] = at::_unique(to_host(ids), /*sorted=*/true, /*return_inverse=*/true);
  const auto* begin = distinct.const_data_ptr<int64_t>();
  const auto read = found->second.read_rows({begin, begin + distinct.numel()}, dtype());
  return rows(to_device(read, device()), to_device(indices, device()));
}

Positions Model::positions(const at::Tensor& values) const {
  const auto& frequencies = architecture_.rotary_frequencies;
  if (!frequencies.defined()) return {values, at::Tensor()};
  if (!rotation_table_.defined()) return {values, rotations(values, frequencies)};
  const auto found =
      at::embedding(rotation_table_.flatten(1), values).unflatten(2, {2, frequencies.size(0) * 2});
  return {values, found.transpose(1, 2).unsqueeze(2)};
}

int64_t Model::widened_bytes() const {
  if (arithmetic().dtype() == placement_.options.dtype()) return 0;
  // An operation is a multiplication or an addition, so each weight takes part in two.
  const double weights = Operations(config_).block() / 2;
  return static_cast<int64_t>(weights) * static_cast<int64_t>(sizeof(float));
}

at::Tensor Model::output_embedding(int64_t begin, int64_t count) const {
  const auto& module = architecture_.output_embedding;
  const auto found = architecture_.offloaded.find(module._ivalue().get());
  if (found == architecture_.offloaded.end()) return weight(module).narrow(0, begin, count);
  return found->second.read_rows(begin, count, dtype()).to(device());
}

at::Tensor Model::unembed(const at::Tensor& stream) const {
  return unembed(stream, output_embedding(0, config_.vocabulary_size));
}

at::Tensor Model::unembed(const at::Tensor& stream, const at::Tensor& output_embedding) const {
  const c10::InferenceMode inference;
  return project(final_norm(stream), output_embedding);
}

at::Tensor Model::project(const at::Tensor& normed, const at::Tensor& output_embedding) const {
  const c10::InferenceMode inference;
  return product(normed, output_embedding).to(at::kFloat);
}

std::unique_ptr<Model> Model::in_float32() const {
  TORCH_INTERNAL_ASSERT(!placement_.offload, "expected weights in memory");
  auto architecture = architecture_;
  const auto widen = [](LayerNorm& norm) { norm = norm.with_results(at::kFloat); };
  widen(architecture.final_norm);
  for (auto& block : architecture.blocks) {
    widen(block.attention_norm);
    widen(block.mlp_norm);
  }
  return std::make_unique<Model>(config_, std::move(architecture), placement_);
}

void Model::save(const std::string& path, const std::map<std::string, std::string>& extra) const {
  const torch::jit::ExtraFilesMap files(extra.begin(), extra.end());
  FileSink sink(path);
  std::ostream out(&sink);
  architecture_.root.save(out, files);
  sink.finish();
}

}  // namespace attention_bypass
