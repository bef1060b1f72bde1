#include "model/learned_positions.h"

#include <vector>

namespace attention_bypass {

Architecture build_with_learned_positions(ArchitectureBuilder& builder, const LearnedPositions& family,
                                          Control& control) {
  const auto& config = builder.config;
  const auto wte = builder.embedding("transformer.wte", config.vocabulary_size, false);
  const auto wpe = builder.embedding("transformer.wpe", config.context_length, true);

  std::vector<Architecture::Block> blocks;
  std::vector<torch::jit::Module> modules;
  std::string calls;
  for (int64_t index = 0; index < config.block_count; ++index) {
    control.check();
    control.advance(1);
    const std::string number = std::to_string(index);
    const auto block = family.block(index, "transformer.h." + number);
    blocks.push_back(block.parts);
    modules.push_back(block.module);
    calls += "    hidden = getattr(self.transformer.h, \"" + number + "\").forward(hidden, " +
             block.argument + ")\n";
  }

  const auto final_norm = builder.norm("transformer.ln_f");
  const auto core =
      builder.script.build(family.prefix + "Model",
                           {ScriptBuilder::module("wte", wte), ScriptBuilder::module("wpe", wpe),
                            ScriptBuilder::module("h", builder.stack(family.prefix + "Blocks", modules)),
                            ScriptBuilder::module("ln_f", final_norm.module())},
                           "");
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::module("transformer", core)};
  const auto output = builder.output_embedding(wte, "self.transformer.wte", {"lm_head", "lm_head"}, members);
  auto root = builder.script.build(family.root, members, family.methods + R"(
def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.transformer.wte.forward(input_ids) + self.transformer.wpe.forward(positions)
)" + calls + R"(    hidden = self.transformer.ln_f.forward(hidden)
    return )" + output.expression + "\n");
  return {std::move(root), wte, output.module, wpe, {}, final_norm, std::move(blocks)};
}

}  // namespace attention_bypass
