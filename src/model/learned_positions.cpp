#include "model/learned_positions.h"

#include <vector>

namespace attention_bypass {

Architecture build_with_learned_positions(ArchitectureBuilder& builder, const LearnedPositions& family,
                                          Control& control) {
  const auto& config = builder.config;
  Architecture architecture;
  architecture.token_embedding = builder.embedding("transformer.wte", config.vocabulary_size, false);
  const auto wpe = builder.embedding("transformer.wpe", config.context_length, true);

  std::vector<torch::jit::Module> blocks;
  std::string calls;
  for (int64_t index = 0; index < config.block_count; ++index) {
    control.check();
    control.advance(1);
    const std::string number = std::to_string(index);
    const auto block = family.block(index, "transformer.h." + number);
    architecture.blocks.push_back(block.parts);
    blocks.push_back(block.module);
    calls += "    hidden = getattr(self.transformer.h, \"" + number + "\").forward(hidden, " +
             block.argument + ")\n";
  }

  architecture.final_norm = builder.norm("transformer.ln_f");
  const auto core = builder.script.build(
      family.prefix + "Model",
      {ScriptBuilder::module("wte", architecture.token_embedding), ScriptBuilder::module("wpe", wpe),
       ScriptBuilder::module("h", builder.stack(family.prefix + "Blocks", blocks)),
       ScriptBuilder::module("ln_f", architecture.final_norm)},
      "");
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::module("transformer", core)};
  const auto output = builder.output_embedding(architecture.token_embedding, "self.transformer.wte",
                                               {"lm_head", "lm_head"}, members);
  architecture.output_embedding = output.module;
  architecture.root = builder.script.build(family.root, members, R"(
def embed(self, input_ids: Tensor, positions: Tensor) -> Tensor:
    return self.transformer.wte.forward(input_ids) + self.transformer.wpe.forward(positions)

def rotation(self, positions: Tensor) -> Tensor:
    return positions

def unembed(self, hidden: Tensor) -> Tensor:
    hidden = self.transformer.ln_f.forward(hidden)
    return )" + output.expression + "\n" + family.methods + R"(
def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.embed(input_ids, positions)
)" + calls + "    return self.unembed(hidden)\n");
  return architecture;
}

}  // namespace attention_bypass
