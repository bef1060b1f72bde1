#include "architecture.h"

#include "activation.h"
#include "offloaded_matrices.h"

namespace attention_bypass {

Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint, const Placement& placement,
                                Control& control) {
  ArchitectureBuilder builder(config, checkpoint, placement);
  Architecture architecture =
      config.family == Family::gpt_neox ? build_gpt_neox(builder, control) : build_gpt_neo(builder, control);
  checkpoint.finish();
  architecture.root.eval();
  return architecture;
}

at::Tensor ArchitectureBuilder::matrix(const std::string& name, at::IntArrayRef shape) {
  auto stored = checkpoint.take(name, shape);
  if (offload_) return stored;
  // A tensor that is already right stays where the file is mapped.
  auto tensor = stored.to(options).contiguous();
  if (!tensor.is_alias_of(stored)) release_pages(stored);
  return tensor;
}

at::Tensor ArchitectureBuilder::vector(const std::string& name, int64_t size, at::ScalarType type) {
  return checkpoint.take(name, {size}).to(options.dtype(type)).contiguous();
}

torch::jit::Module ArchitectureBuilder::embedding(const std::string& name, int64_t count) {
  return script.build(
      "Embedding",
      {ScriptBuilder::parameter("weight", matrix(name + ".weight", {count, config.hidden_size})),
       ScriptBuilder::attribute("dtype", static_cast<int64_t>(dtype())),
       ScriptBuilder::attribute("stream_dtype", static_cast<int64_t>(stream_dtype()))},
      R"(
def forward(self, ids: Tensor) -> Tensor:
    return torch.to(torch.to(torch.embedding(self.weight, ids), self.dtype), self.stream_dtype)
)");
}

torch::jit::Module ArchitectureBuilder::linear(const std::string& name, int64_t inputs, int64_t outputs,
                                               bool bias) {
  std::vector<ScriptBuilder::Member> members = {
      ScriptBuilder::parameter("weight", matrix(name + ".weight", {outputs, inputs}))};
  if (!bias) {
    return script.build("LinearWithoutBias", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight)
)");
  }
  members.push_back(ScriptBuilder::parameter("bias", vector(name + ".bias", outputs, dtype())));
  return script.build("Linear", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
)");
}

torch::jit::Module ArchitectureBuilder::norm(const std::string& name) {
  return script.build(
      "LayerNorm",
      {ScriptBuilder::parameter("weight", vector(name + ".weight", config.hidden_size, stream_dtype())),
       ScriptBuilder::parameter("bias", vector(name + ".bias", config.hidden_size, stream_dtype())),
       ScriptBuilder::attribute("epsilon", config.norm_epsilon),
       ScriptBuilder::attribute("dtype", static_cast<int64_t>(dtype()))},
      R"(
def forward(self, x: Tensor) -> Tensor:
    x = torch.layer_norm(x, [self.weight.size(0)], self.weight, self.bias, self.epsilon)
    return torch.to(x, self.dtype)
)");
}

torch::jit::Module ArchitectureBuilder::mlp(const std::string& name, const std::string& widen,
                                            const std::string& narrow) {
  const auto first = linear(name + "." + widen, config.hidden_size, config.intermediate_size, true);
  const auto second = linear(name + "." + narrow, config.intermediate_size, config.hidden_size, true);
  return script.build(
      "MLP", {ScriptBuilder::module(widen, first), ScriptBuilder::module(narrow, second)},
      "def activate(self, x: Tensor) -> Tensor:\n    return " + activation_expression(config.activation) +
          "\n\ndef forward(self, hidden: Tensor) -> Tensor:\n    return self." + narrow +
          ".forward(self.activate(self." + widen +
          ".forward(hidden)))\n\ndef weights(self) -> Tuple[Tensor, Tensor, Tensor]:\n    return self." +
          widen + ".weight, self." + widen + ".bias, self." + narrow + ".weight\n");
}

torch::jit::Module ArchitectureBuilder::stack(const std::string& class_name,
                                              const std::vector<torch::jit::Module>& blocks) {
  std::vector<ScriptBuilder::Member> members;
  for (const auto& block : blocks) {
    members.push_back(ScriptBuilder::module(std::to_string(members.size()), block));
  }
  return script.build(class_name, members, "");
}

}  // namespace attention_bypass
