#include "model/architecture.h"

#include <utility>

#include "model/activation.h"
#include "model/families.h"

namespace attention_bypass {

Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint, const Placement& placement,
                                Control& control) {
  ArchitectureBuilder builder(config, checkpoint, placement);
  auto architecture = find_family(config.family).build(builder, control);
  checkpoint.finish();
  architecture.offloaded = std::move(builder.offloaded);
  architecture.exact = builder.exact;
  architecture.root.eval();
  return architecture;
}

StoredTensor ArchitectureBuilder::take(const std::string& name, at::IntArrayRef shape, at::ScalarType as) {
  auto stored = checkpoint.take(name, shape);
  exact = exact && c10::promoteTypes(stored.type, as) == as;
  return stored;
}

ArchitectureBuilder::Matrix ArchitectureBuilder::matrix(const std::string& name, at::IntArrayRef shape,
                                                        bool in_memory) {
  auto stored = take(name, shape, dtype());
  if (offload_ && !in_memory) return {at::empty({0, 0}, options), std::move(stored)};
  return {stored.read(dtype()).to(options.device()), std::nullopt};
}

torch::jit::Module ArchitectureBuilder::register_offloaded(torch::jit::Module module, Matrix matrix) {
  if (matrix.stored) offloaded.emplace(module._ivalue().get(), std::move(*matrix.stored));
  return module;
}

at::Tensor ArchitectureBuilder::vector(const std::string& name, int64_t size, at::ScalarType type) {
  return take(name, {size}, type).read(type).to(options.device());
}

torch::jit::Module ArchitectureBuilder::embedding(const std::string& name, int64_t count, bool in_memory) {
  auto weight = matrix(name + ".weight", {count, config.hidden_size}, in_memory);
  const auto module =
      script.build("Embedding",
                   {ScriptBuilder::parameter("weight", weight.weight),
                    ScriptBuilder::attribute("dtype", static_cast<int64_t>(dtype())),
                    ScriptBuilder::attribute("stream_dtype", static_cast<int64_t>(stream_dtype()))},
                   R"(
def forward(self, ids: Tensor) -> Tensor:
    return torch.to(torch.to(torch.embedding(self.weight, ids), self.dtype), self.stream_dtype)
)");
  return register_offloaded(module, std::move(weight));
}

Linear ArchitectureBuilder::transposed_linear(const std::string& name, int64_t inputs, int64_t outputs) {
  auto weight = matrix(name + ".weight", {inputs, outputs}, false);
  // Products read a weight by outputs.
  if (!weight.stored) weight.weight = weight.weight.t().contiguous().t();
  const auto module =
      script.build("Conv1D",
                   {ScriptBuilder::parameter("weight", weight.weight),
                    ScriptBuilder::parameter("bias", vector(name + ".bias", outputs, dtype()))},
                   R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight.t(), self.bias)
)");
  return Linear(register_offloaded(module, std::move(weight)), /*transposed=*/true);
}

Linear ArchitectureBuilder::linear(const std::string& name, int64_t inputs, int64_t outputs, Bias bias) {
  auto weight = matrix(name + ".weight", {outputs, inputs}, false);
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::parameter("weight", weight.weight)};
  if (bias == Bias::none) {
    const auto module = script.build("LinearWithoutBias", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight)
)");
    return Linear(register_offloaded(module, std::move(weight)));
  }
  const auto added =
      bias == Bias::zeros ? at::zeros({outputs}, options) : vector(name + ".bias", outputs, dtype());
  members.push_back(ScriptBuilder::parameter("bias", added));
  const auto module = script.build("Linear", members, R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
)");
  return Linear(register_offloaded(module, std::move(weight)));
}

LayerNorm ArchitectureBuilder::norm(const std::string& name) {
  const auto module = script.build(
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
  return {module, config.norm_epsilon, arithmetic_type(options.device(), dtype())};
}

Mlp ArchitectureBuilder::mlp(const std::string& name, const std::string& up, const std::string& down,
                             bool transposed) {
  const auto layer = [&](const std::string& part, int64_t inputs, int64_t outputs) {
    return transposed ? transposed_linear(name + "." + part, inputs, outputs)
                      : linear(name + "." + part, inputs, outputs, Bias::stored);
  };
  const auto first = layer(up, config.hidden_size, config.intermediate_size);
  const auto second = layer(down, config.intermediate_size, config.hidden_size);
  const auto module = script.build(
      "MLP", {ScriptBuilder::module(up, first.module()), ScriptBuilder::module(down, second.module())},
      "def activate(self, x: Tensor) -> Tensor:\n    return " + activation_expression(config.activation) +
          "\n\ndef forward(self, hidden: Tensor) -> Tensor:\n    return self." + down +
          ".forward(self.activate(self." + up + ".forward(hidden)))\n");
  return {module, first, second, config.activation};
}

torch::jit::Module ArchitectureBuilder::block(const std::string& class_name, const BlockNames& names,
                                              const Architecture::Block& parts,
                                              const torch::jit::Module& attention,
                                              const std::string& argument) {
  const auto call = [](const std::string& part, const std::string& arguments) {
    return "self." + part + ".forward(" + arguments + ")";
  };
  const std::string name = argument.substr(0, argument.find(':'));
  const std::string attended = call(names.attention, call(names.attention_norm, "hidden") + ", " + name);
  const std::string mlp = call(names.mlp, call(names.mlp_norm, "hidden"));
  const std::string body =
      config.parallel_residual
          ? "    attended = " + attended + "\n    return " + mlp + " + attended + hidden\n"
          : "    hidden = " + attended + " + hidden\n    return " + mlp + " + hidden\n";
  return script.build(class_name,
                      {ScriptBuilder::module(names.attention_norm, parts.attention_norm.module()),
                       ScriptBuilder::module(names.attention, attention),
                       ScriptBuilder::module(names.mlp_norm, parts.mlp_norm.module()),
                       ScriptBuilder::module(names.mlp, parts.mlp.module())},
                      "def forward(self, hidden: Tensor, " + argument + ") -> Tensor:\n" + body);
}

ArchitectureBuilder::OutputEmbedding ArchitectureBuilder::output_embedding(
    const torch::jit::Module& token_embedding, const std::string& token_path, const OutputNames& names,
    std::vector<ScriptBuilder::Member>& members) {
  if (config.tied_embedding) {
    checkpoint.leave(names.stored + ".weight");
    return {token_embedding, "torch.linear(hidden, " + token_path + ".weight)"};
  }
  auto module = linear(names.stored, config.hidden_size, config.vocabulary_size, Bias::none).module();
  members.push_back(ScriptBuilder::module(names.member, module));
  return {std::move(module), "self." + names.member + ".forward(hidden)"};
}

ArchitectureBuilder::ShortCircuit ArchitectureBuilder::short_circuit(int64_t block) const {
  if (config.short_circuited.empty()) return {};
  auto heads = at::zeros({1, config.head_count, 1, 1}, at::kBool);
  for (int64_t head = 0; head < config.head_count; ++head) {
    heads[0][head] = config.short_circuited[static_cast<size_t>(block)][static_cast<size_t>(head)];
  }
  return {{ScriptBuilder::buffer("short_circuited", heads.to(options.device()))},
          "    mixed = torch.where(self.short_circuited, values, mixed)\n"};
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
