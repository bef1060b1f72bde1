// GPT-Neo: learned position embeddings, blocks that attend to all tokens and blocks that attend to a window,
// attention scores without scaling, serial blocks.

#include <string>

#include "model/architecture.h"

namespace attention_bypass {

namespace {

torch::jit::Module attention(ArchitectureBuilder& builder, const std::string& name) {
  const int64_t size = builder.config.hidden_size;
  return builder.script.build(
      "GPTNeoSelfAttention",
      {ScriptBuilder::module("q_proj", builder.linear(name + ".q_proj", size, size, false)),
       ScriptBuilder::module("k_proj", builder.linear(name + ".k_proj", size, size, false)),
       ScriptBuilder::module("v_proj", builder.linear(name + ".v_proj", size, size, false)),
       ScriptBuilder::module("out_proj", builder.linear(name + ".out_proj", size, size, true)),
       ScriptBuilder::attribute("heads", builder.config.head_count)},
      R"(
def split(self, x: Tensor) -> Tensor:
    return x.view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)

def project(self, x: Tensor, rotation: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    return self.split(self.q_proj.forward(x)), self.split(self.k_proj.forward(x)), self.split(self.v_proj.forward(x))

def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Optional[Tensor], causal: bool) -> Tensor:
    mixed = torch.scaled_dot_product_attention(queries, keys, values, mask, 0.0, causal, scale=1.0)
    return mixed.transpose(1, 2).flatten(2)

def output(self, mixed: Tensor) -> Tensor:
    return self.out_proj.forward(mixed)

def short_circuit(self, x: Tensor) -> Tensor:
    return self.out_proj.forward(self.v_proj.forward(x))

def by_head(self, weight: Tensor) -> Tensor:
    return weight.view([self.heads, -1, weight.size(1)])

def weights(self) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    queries = self.by_head(self.q_proj.weight)
    no_bias = torch.zeros_like(queries.select(2, 0))
    output = self.out_proj.weight.view([queries.size(2), self.heads, -1]).transpose(0, 1)
    return (queries, self.by_head(self.k_proj.weight), self.by_head(self.v_proj.weight), no_bias, no_bias, no_bias,
            output, self.out_proj.bias)

def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
    queries, keys, values = self.project(x, x)
    return self.output(self.mix(queries, keys, values, mask, mask is None))
)");
}

}  // namespace

Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control) {
  const auto& config = builder.config;
  Architecture architecture;
  const auto wte = builder.embedding("transformer.wte", config.vocabulary_size, false);
  const auto wpe = builder.embedding("transformer.wpe", config.context_length, true);

  std::vector<torch::jit::Module> blocks;
  std::string calls;
  for (int64_t index = 0; index < config.block_count; ++index) {
    control.check();
    control.advance(1);
    const std::string number = std::to_string(index);
    const std::string name = "transformer.h." + number;
    Architecture::Block parts = {builder.norm(name + ".ln_1"), attention(builder, name + ".attn.attention"),
                                 builder.norm(name + ".ln_2"), builder.mlp(name + ".mlp", "c_fc", "c_proj")};
    const auto attn =
        builder.script.build("GPTNeoAttention", {ScriptBuilder::module("attention", parts.attention)}, R"(
def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
    return self.attention.forward(x, mask)
)");
    blocks.push_back(
        builder.block("GPTNeoBlock", {"ln_1", "attn", "ln_2", "mlp"}, parts, attn, "mask: Optional[Tensor]"));
    architecture.blocks.push_back(parts);
    const int64_t window = config.windows[static_cast<size_t>(index)];
    const std::string mask =
        window == 0 ? "None" : "self.local_mask(positions, " + std::to_string(window) + ")";
    calls += "    hidden = getattr(self.transformer.h, \"" + number + "\").forward(hidden, " + mask + ")\n";
  }

  architecture.final_norm = builder.norm("transformer.ln_f");
  const auto core =
      builder.script.build("GPTNeoModel",
                           {ScriptBuilder::module("wte", wte), ScriptBuilder::module("wpe", wpe),
                            ScriptBuilder::module("h", builder.stack("GPTNeoBlocks", blocks)),
                            ScriptBuilder::module("ln_f", architecture.final_norm)},
                           "");
  std::vector<ScriptBuilder::Member> members = {ScriptBuilder::module("transformer", core)};
  std::string output = "torch.linear(hidden, self.transformer.wte.weight)";
  auto unembedding = wte;
  if (config.tied_embedding) {
    builder.checkpoint.leave("lm_head.weight");
  } else {
    output = "self.lm_head.forward(hidden)";
    unembedding = builder.linear("lm_head", config.hidden_size, config.vocabulary_size, false);
    members.push_back(ScriptBuilder::module("lm_head", unembedding));
  }
  architecture.token_embedding = wte;
  architecture.output_embedding = std::move(unembedding);
  architecture.root = builder.script.build("GPTNeoForCausalLM", members, R"(
def embed(self, input_ids: Tensor, positions: Tensor) -> Tensor:
    return self.transformer.wte.forward(input_ids) + self.transformer.wpe.forward(positions)

def rotation(self, positions: Tensor) -> Tensor:
    return positions

def unembed(self, hidden: Tensor) -> Tensor:
    hidden = self.transformer.ln_f.forward(hidden)
    return )" + output + R"(

def local_mask(self, positions: Tensor, window: int) -> Tensor:
    distance = positions.transpose(0, 1) - positions
    return torch.logical_and(distance >= 0, distance < window)

def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.embed(input_ids, positions)
)" + calls + "    return self.unembed(hidden)\n");
  return architecture;
}

}  // namespace attention_bypass
