#include "architecture.h"

#include "activation.h"

namespace attention_bypass {

Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint,
                                const at::TensorOptions& options, Control& control) {
  ArchitectureBuilder builder(config, checkpoint, options);
  Architecture architecture =
      config.family == Family::gpt_neox ? build_gpt_neox(builder, control) : build_gpt_neo(builder, control);
  checkpoint.finish();
  architecture.root.eval();
  return architecture;
}

at::Tensor ArchitectureBuilder::weight(const std::string& name, at::IntArrayRef shape) {
  // A tensor that is already right stays where the file is mapped.
  return checkpoint.take(name, shape).to(options).contiguous();
}

torch::jit::Module ArchitectureBuilder::embedding(const std::string& name, int64_t count) {
  return script.build(
      "Embedding",
      {ScriptBuilder::parameter("weight", weight(name + ".weight", {count, config.hidden_size}))},
      R"(
def forward(self, ids: Tensor) -> Tensor:
    return torch.embedding(self.weight, ids)
)");
}

torch::jit::Module ArchitectureBuilder::linear(const std::string& name, int64_t inputs, int64_t outputs,
                                               bool bias) {
  std::vector<ScriptBuilder::Member> members = {
      ScriptBuilder::parameter("weight", weight(name + ".weight", {outputs, inputs}))};
  if (!bias) {
    return script.build("LinearWithoutBias", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight)
)");
  }
  members.push_back(ScriptBuilder::parameter("bias", weight(name + ".bias", {outputs})));
  return script.build("Linear", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
)");
}

torch::jit::Module ArchitectureBuilder::norm(const std::string& name) {
  // layer_norm takes half-precision tensors but computes its statistics in float32.
  return script.build("LayerNorm",
                      {ScriptBuilder::parameter("weight", weight(name + ".weight", {config.hidden_size})),
                       ScriptBuilder::parameter("bias", weight(name + ".bias", {config.hidden_size})),
                       ScriptBuilder::attribute("epsilon", config.norm_epsilon)},
                      R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.layer_norm(x, [self.weight.size(0)], self.weight, self.bias, self.epsilon)
)");
}

torch::jit::Module ArchitectureBuilder::mlp(const std::string& name, const std::string& widen,
                                            const std::string& narrow) {
  const auto first = linear(name + "." + widen, config.hidden_size, config.intermediate_size, true);
  const auto second = linear(name + "." + narrow, config.intermediate_size, config.hidden_size, true);
  return script.build("MLP", {ScriptBuilder::module(widen, first), ScriptBuilder::module(narrow, second)},
                      "def forward(self, hidden: Tensor) -> Tensor:\n    x = self." + widen +
                          ".forward(hidden)\n    return self." + narrow + ".forward(" +
                          activation_expression(config.activation) + ")\n");
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
