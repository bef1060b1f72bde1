#include "model/block.h"

namespace attention_bypass {

Block::Block(const Architecture::Block& parts, int64_t window, bool parallel, OffloadedMatrices matrices)
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
      parallel_(parallel),
      matrices_(std::move(matrices)) {}

Projections Block::project(const at::Tensor& normed, const at::Tensor& rotation) const {
  const torch::jit::GraphOptimizerEnabledGuard interpret(false);
  const auto projected = project_({normed, rotation}).toTuple();
  const auto& parts = projected->elements();
  return {parts[0].toTensor(), parts[1].toTensor(), parts[2].toTensor()};
}

at::Tensor Block::mix(const Projections& projections, const KeyMask& visible) const {
  return call(mix_, projections.queries, projections.keys, projections.values, visible.mask, visible.causal);
}

BlockWeights Block::weights() const {
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

}  // namespace attention_bypass
