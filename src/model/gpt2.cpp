// GPT-2: learned position embeddings, one projection for queries, keys and values, transposed weights, serial
// blocks, and tied embeddings.

#include <string>

#include "model/learned_positions.h"

namespace attention_bypass {

namespace {

Attention::Layers attention(ArchitectureBuilder& builder, int64_t block, const std::string& name) {
  const int64_t size = builder.config.hidden_size;
  const auto joint = builder.transposed_linear(name + ".c_attn", size, 3 * size);
  const auto output = builder.transposed_linear(name + ".c_proj", size, size);
  auto [members, short_circuit] = builder.short_circuit(block);
  members.insert(members.begin(), {ScriptBuilder::module("c_attn", joint.module()),
                                   ScriptBuilder::module("c_proj", output.module()),
                                   ScriptBuilder::attribute("heads", builder.config.head_count),
                                   ScriptBuilder::attribute("scale", builder.config.attention_scale)});
  const auto module = builder.script.build("GPT2Attention", members,
                                           R"(
def split(self, x: Tensor) -> Tensor:
    return x.view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)

def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
    size = x.size(-1)
    joined = self.c_attn.forward(x)
    queries = self.split(joined.narrow(-1, 0, size))
    keys = self.split(joined.narrow(-1, size, size))
    values = self.split(joined.narrow(-1, 2 * size, size))
    mixed = torch.scaled_dot_product_attention(queries, keys, values, None, 0.0, True, scale=self.scale)
)" + short_circuit + R"(    return self.c_proj.forward(mixed.transpose(1, 2).flatten(2))
)");
  return {module, {joint}, Attention::Order::by_part, output};
}

}  // namespace

Architecture build_gpt2(ArchitectureBuilder& builder, Control& control) {
  const auto block = [&builder](int64_t index, const std::string& name) -> LearnedPositions::Block {
    const Architecture::Block parts = {
        builder.norm(name + ".ln_1"), attention(builder, index, name + ".attn"), builder.norm(name + ".ln_2"),
        builder.mlp(name + ".mlp", "c_fc", "c_proj", true)};
    return {parts,
            builder.block("GPT2Block", {"ln_1", "attn", "ln_2", "mlp"}, parts, parts.attention.module,
                          "rotation: Tensor"),
            "positions"};
  };
  return build_with_learned_positions(builder, {"GPT2", "GPT2LMHeadModel", block, ""}, control);
}

}  // namespace attention_bypass
