// GPT-Neo: learned position embeddings, blocks that attend to all tokens and blocks that attend to a window,
// attention scores without scaling, serial blocks.

#include <string>

#include "model/learned_positions.h"

namespace attention_bypass {

namespace {

Attention::Layers attention(ArchitectureBuilder& builder, int64_t block, const std::string& name) {
  using Bias = ArchitectureBuilder::Bias;
  const int64_t size = builder.config.hidden_size;
  const auto queries = builder.linear(name + ".q_proj", size, size, Bias::none);
  const auto keys = builder.linear(name + ".k_proj", size, size, Bias::none);
  const auto values = builder.linear(name + ".v_proj", size, size, Bias::none);
  const auto output = builder.linear(name + ".out_proj", size, size, Bias::stored);
  auto [members, short_circuit] = builder.short_circuit(block);
  members.insert(
      members.begin(),
      {ScriptBuilder::module("q_proj", queries.module()), ScriptBuilder::module("k_proj", keys.module()),
       ScriptBuilder::module("v_proj", values.module()), ScriptBuilder::module("out_proj", output.module()),
       ScriptBuilder::attribute("heads", builder.config.head_count)});
  const auto module = builder.script.build("GPTNeoSelfAttention", members,
                                           R"(
def split(self, x: Tensor) -> Tensor:
    return x.view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)

def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
    queries = self.split(self.q_proj.forward(x))
    keys = self.split(self.k_proj.forward(x))
    values = self.split(self.v_proj.forward(x))
    mixed = torch.scaled_dot_product_attention(queries, keys, values, mask, 0.0, mask is None, scale=1.0)
)" + short_circuit + R"(    return self.out_proj.forward(mixed.transpose(1, 2).flatten(2))
)");
  return {module, {queries, keys, values}, Attention::Order::by_part, output};
}

}  // namespace

Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control) {
  const auto block = [&builder](int64_t index, const std::string& name) -> LearnedPositions::Block {
    const Architecture::Block parts = {
        builder.norm(name + ".ln_1"), attention(builder, index, name + ".attn.attention"),
        builder.norm(name + ".ln_2"), builder.mlp(name + ".mlp", "c_fc", "c_proj")};
    const auto attn = builder.script.build("GPTNeoAttention",
                                           {ScriptBuilder::module("attention", parts.attention.module)}, R"(
def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
    return self.attention.forward(x, mask)
)");
    const int64_t window = builder.config.windows[static_cast<size_t>(index)];
    return {
        parts,
        builder.block("GPTNeoBlock", {"ln_1", "attn", "ln_2", "mlp"}, parts, attn, "mask: Optional[Tensor]"),
        window == 0 ? "None" : "self.local_mask(positions, " + std::to_string(window) + ")"};
  };
  return build_with_learned_positions(builder, {"GPTNeo", "GPTNeoForCausalLM", block, R"(
def local_mask(self, positions: Tensor, window: int) -> Tensor:
    distance = positions.transpose(0, 1) - positions
    return torch.logical_and(distance >= 0, distance < window)
)"},
                                      control);
}

}  // namespace attention_bypass
