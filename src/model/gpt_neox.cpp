// GPT-NeoX, the architecture of Pythia: rotary position embeddings on part of each head, and parallel or
// serial blocks.

#include <string>

#include "model/architecture.h"

namespace attention_bypass {

namespace {

torch::jit::Module rotary_embedding(ArchitectureBuilder& builder) {
  const auto stream = builder.options.dtype(builder.stream_dtype());
  const int64_t size = builder.config.rotary_size;
  const auto exponents = at::arange(0, size, 2, at::kFloat) / static_cast<double>(size);
  const auto inverse_frequencies = at::reciprocal(at::pow(builder.config.rotary_base, exponents)).to(stream);
  // Angles are float32 in half-precision models: bfloat16 cannot represent every position above 256.
  return builder.script.build("RotaryEmbedding", {ScriptBuilder::buffer("inv_freq", inverse_frequencies)}, R"(
def forward(self, positions: Tensor) -> Tensor:
    angles = positions.unsqueeze(-1) * self.inv_freq
    angles = torch.cat([angles, angles], -1).unsqueeze(1)
    return torch.stack([torch.cos(angles), torch.sin(angles)], 1)
)");
}

torch::jit::Module attention(ArchitectureBuilder& builder, const std::string& name) {
  const auto& config = builder.config;
  const auto query_key_value = builder.linear(name + ".query_key_value", config.hidden_size,
                                              3 * config.hidden_size, config.attention_bias);
  const auto dense =
      builder.linear(name + ".dense", config.hidden_size, config.hidden_size, config.attention_bias);
  // The rows of query_key_value are ordered by head: queries, keys and values of the first head, then the
  // next.
  const std::string value_bias =
      config.attention_bias ? "self.query_key_value.bias.view([self.heads, 3, -1]).select(1, 2).flatten()"
                            : "None";
  const std::string biases = config.attention_bias ? "self.query_key_value.bias.view([self.heads, 3, -1])"
                                                   : "torch.zeros_like(matrices.select(3, 0))";
  const std::string output_bias =
      config.attention_bias ? "self.dense.bias" : "torch.zeros_like(self.dense.weight.select(1, 0))";
  return builder.script.build("GPTNeoXAttention",
                              {ScriptBuilder::module("query_key_value", query_key_value),
                               ScriptBuilder::module("dense", dense),
                               ScriptBuilder::attribute("heads", config.head_count)},
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

def project(self, x: Tensor, rotation: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    joined = self.query_key_value.forward(x).view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)
    size = joined.size(-1) // 3
    queries = self.rotate(joined.narrow(-1, 0, size), rotation)
    keys = self.rotate(joined.narrow(-1, size, size), rotation)
    return queries, keys, joined.narrow(-1, 2 * size, size)

def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Optional[Tensor], causal: bool) -> Tensor:
    mixed = torch.scaled_dot_product_attention(queries, keys, values, mask, 0.0, causal)
    return mixed.transpose(1, 2).flatten(2)

def output(self, mixed: Tensor) -> Tensor:
    return self.dense.forward(mixed)

def short_circuit(self, x: Tensor) -> Tensor:
    weight = self.query_key_value.weight
    weight = weight.view([self.heads, 3, -1, weight.size(1)]).select(1, 2).flatten(0, 1)
    return self.dense.forward(torch.linear(x, weight, )" +
                                  value_bias + R"())

def weights(self) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    joined = self.query_key_value.weight
    width = joined.size(1)
    matrices = joined.view([self.heads, 3, -1, width])
    biases = )" + biases +
                                  R"(
    output = self.dense.weight.view([width, self.heads, -1]).transpose(0, 1)
    return (matrices.select(1, 0), matrices.select(1, 1), matrices.select(1, 2), biases.select(1, 0),
            biases.select(1, 1), biases.select(1, 2), output, )" +
                                  output_bias + R"()

def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
    queries, keys, values = self.project(x, rotation)
    return self.output(self.mix(queries, keys, values, None, True))
)");
}

}  // namespace

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control) {
  const auto& config = builder.config;
  Architecture architecture;
  const auto embed_in = builder.embedding("gpt_neox.embed_in", config.vocabulary_size, false);

  std::vector<torch::jit::Module> blocks;
  std::string calls;
  for (int64_t index = 0; index < config.block_count; ++index) {
    control.check();
    control.advance(1);
    const std::string number = std::to_string(index);
    const std::string name = "gpt_neox.layers." + number;
    Architecture::Block parts = {builder.norm(name + ".input_layernorm"),
                                 attention(builder, name + ".attention"),
                                 builder.norm(name + ".post_attention_layernorm"),
                                 builder.mlp(name + ".mlp", "dense_h_to_4h", "dense_4h_to_h")};
    blocks.push_back(builder.block("GPTNeoXBlock",
                                   {"input_layernorm", "attention", "post_attention_layernorm", "mlp"}, parts,
                                   parts.attention, "rotation: Tensor"));
    architecture.blocks.push_back(parts);
    calls += "    hidden = getattr(self.gpt_neox.layers, \"" + number + "\").forward(hidden, rotation)\n";
  }

  architecture.final_norm = builder.norm("gpt_neox.final_layer_norm");
  const auto core =
      builder.script.build("GPTNeoXModel",
                           {ScriptBuilder::module("embed_in", embed_in),
                            ScriptBuilder::module("layers", builder.stack("GPTNeoXBlocks", blocks)),
                            ScriptBuilder::module("final_layer_norm", architecture.final_norm),
                            ScriptBuilder::module("rotary_emb", rotary_embedding(builder))},
                           "");
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::module("gpt_neox", core)};
  // The name is embed_out in checkpoint files, and lm_head in state dictionaries and traces of newer versions
  // of transformers.
  const std::string stored = builder.checkpoint.has("lm_head.weight") ? "lm_head" : "embed_out";
  const auto output =
      builder.output_embedding(embed_in, "self.gpt_neox.embed_in", {stored, "embed_out"}, members);
  architecture.token_embedding = embed_in;
  architecture.output_embedding = output.module;
  architecture.root = builder.script.build("GPTNeoXForCausalLM", members, R"(
def embed(self, input_ids: Tensor, positions: Tensor) -> Tensor:
    return self.gpt_neox.embed_in.forward(input_ids)

def rotation(self, positions: Tensor) -> Tensor:
    return self.gpt_neox.rotary_emb.forward(positions)

def unembed(self, hidden: Tensor) -> Tensor:
    hidden = self.gpt_neox.final_layer_norm.forward(hidden)
    return )" + output.expression + R"(

def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.embed(input_ids, positions)
    rotation = self.rotation(positions)
)" + calls + "    return self.unembed(hidden)\n");
  return architecture;
}

}  // namespace attention_bypass
