// GPT-NeoX, the architecture of Pythia: rotary position embeddings on part of each head, and parallel or
// serial blocks.

#include <string>

#include "model/architecture.h"
#include "model/rotary.h"

namespace attention_bypass {

namespace {

torch::jit::Module rotary_embedding(ArchitectureBuilder& builder, const at::Tensor& frequencies) {
  return builder.script.build("RotaryEmbedding", {ScriptBuilder::buffer("inv_freq", frequencies)}, R"(
def forward(self, positions: Tensor) -> Tensor:
    angles = positions.unsqueeze(-1) * self.inv_freq
    angles = torch.cat([angles, angles], -1).unsqueeze(1)
    return torch.stack([torch.cos(angles), torch.sin(angles)], 1)
)");
}

Attention::Layers attention(ArchitectureBuilder& builder, int64_t block, const std::string& name) {
  using Bias = ArchitectureBuilder::Bias;
  const auto& config = builder.config;
  const auto bias = config.attention_bias        ? Bias::stored
                    : config.zero_attention_bias ? Bias::zeros
                                                 : Bias::none;
  const auto query_key_value =
      builder.linear(name + ".query_key_value", config.hidden_size, 3 * config.hidden_size, bias);
  const auto dense = builder.linear(name + ".dense", config.hidden_size, config.hidden_size, bias);
  auto [members, short_circuit] = builder.short_circuit(block);
  members.insert(members.begin(), {ScriptBuilder::module("query_key_value", query_key_value.module()),
                                   ScriptBuilder::module("dense", dense.module()),
                                   ScriptBuilder::attribute("heads", config.head_count)});
  const auto module = builder.script.build("GPTNeoXAttention", members,
                                           R"(
def rotate(self, x: Tensor, rotation: Tensor) -> Tensor:
    size = rotation.size(-1)
    part = x.narrow(-1, 0, size)
    half = size // 2
    swapped = torch.cat([torch.neg(part.narrow(-1, half, half)), part.narrow(-1, 0, half)], -1)
    part = torch.to(part * rotation.select(1, 0) + swapped * rotation.select(1, 1), x.dtype)
    if size == x.size(-1):
        return part
    return torch.cat([part, x.narrow(-1, size, x.size(-1) - size)], -1)

def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
    joined = self.query_key_value.forward(x).view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)
    size = joined.size(-1) // 3
    queries = self.rotate(joined.narrow(-1, 0, size), rotation)
    keys = self.rotate(joined.narrow(-1, size, size), rotation)
    values = joined.narrow(-1, 2 * size, size)
    mixed = torch.scaled_dot_product_attention(queries, keys, values, None, 0.0, True)
)" + short_circuit + R"(    return self.dense.forward(mixed.transpose(1, 2).flatten(2))
)");
  return {module, {query_key_value}, Attention::Order::by_head, dense};
}

}  // namespace

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control) {
  const auto& config = builder.config;
  const auto embed_in = builder.embedding("gpt_neox.embed_in", config.vocabulary_size, false);

  // Angles are float32 in half-precision models: bfloat16 cannot represent every position above 256.
  const auto frequencies = rotary_frequencies(config.rotary_size, config.rotary_base)
                               .to(builder.options.dtype(builder.stream_dtype()));
  std::vector<Architecture::Block> blocks;
  std::vector<torch::jit::Module> modules;
  std::string calls;
  for (int64_t index = 0; index < config.block_count; ++index) {
    control.check();
    control.advance(1);
    const std::string number = std::to_string(index);
    const std::string name = "gpt_neox.layers." + number;
    Architecture::Block parts = {builder.norm(name + ".input_layernorm"),
                                 attention(builder, index, name + ".attention"),
                                 builder.norm(name + ".post_attention_layernorm"),
                                 builder.mlp(name + ".mlp", "dense_h_to_4h", "dense_4h_to_h")};
    modules.push_back(builder.block("GPTNeoXBlock",
                                    {"input_layernorm", "attention", "post_attention_layernorm", "mlp"},
                                    parts, parts.attention.module, "rotation: Tensor"));
    blocks.push_back(std::move(parts));
    calls += "    hidden = getattr(self.gpt_neox.layers, \"" + number + "\").forward(hidden, rotation)\n";
  }

  const auto final_norm = builder.norm("gpt_neox.final_layer_norm");
  const auto core =
      builder.script.build("GPTNeoXModel",
                           {ScriptBuilder::module("embed_in", embed_in),
                            ScriptBuilder::module("layers", builder.stack("GPTNeoXBlocks", modules)),
                            ScriptBuilder::module("final_layer_norm", final_norm.module()),
                            ScriptBuilder::module("rotary_emb", rotary_embedding(builder, frequencies))},
                           "");
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::module("gpt_neox", core)};
  // The name is embed_out in checkpoint files, and lm_head in state dictionaries and traces of newer versions
  // of transformers.
  const std::string stored = builder.checkpoint.has("lm_head.weight") ? "lm_head" : "embed_out";
  const auto output =
      builder.output_embedding(embed_in, "self.gpt_neox.embed_in", {stored, "embed_out"}, members);
  auto root = builder.script.build("GPTNeoXForCausalLM", members, R"(
def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.gpt_neox.embed_in.forward(input_ids)
    rotation = self.gpt_neox.rotary_emb.forward(positions)
)" + calls + R"(    hidden = self.gpt_neox.final_layer_norm.forward(hidden)
    return )" + output.expression + "\n");
  return {std::move(root), embed_in, output.module, {}, frequencies, final_norm, std::move(blocks)};
}

}  // namespace attention_bypass
