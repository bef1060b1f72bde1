// GPT-2: learned position embeddings, one projection for queries, keys and values, transposed weights, serial
// blocks, and tied embeddings.

#include <string>

#include "model/architecture.h"

namespace attention_bypass {

namespace {

torch::jit::Module attention(ArchitectureBuilder& builder, const std::string& name) {
  const int64_t size = builder.config.hidden_size;
  return builder.script.build(
      "GPT2Attention",
      {ScriptBuilder::module("c_attn", builder.transposed_linear(name + ".c_attn", size, 3 * size)),
       ScriptBuilder::module("c_proj", builder.transposed_linear(name + ".c_proj", size, size)),
       ScriptBuilder::attribute("heads", builder.config.head_count),
       ScriptBuilder::attribute("scale", builder.config.attention_scale)},
      R"(
def split(self, x: Tensor) -> Tensor:
    return x.view([x.size(0), x.size(1), self.heads, -1]).transpose(1, 2)

def project(self, x: Tensor, rotation: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    size = x.size(-1)
    joined = self.c_attn.forward(x)
    return (self.split(joined.narrow(-1, 0, size)), self.split(joined.narrow(-1, size, size)),
            self.split(joined.narrow(-1, 2 * size, size)))

def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Optional[Tensor], causal: bool) -> Tensor:
    mixed = torch.scaled_dot_product_attention(queries, keys, values, mask, 0.0, causal, scale=self.scale)
    return mixed.transpose(1, 2).flatten(2)

def output(self, mixed: Tensor) -> Tensor:
    return self.c_proj.forward(mixed)

def short_circuit(self, x: Tensor) -> Tensor:
    size = x.size(-1)
    weight = self.c_attn.weight.narrow(1, 2 * size, size)
    return self.c_proj.forward(torch.linear(x, weight.t(), self.c_attn.bias.narrow(0, 2 * size, size)))

def by_head(self, index: int) -> Tensor:
    size = self.c_attn.weight.size(0)
    return self.c_attn.weight.narrow(1, index * size, size).t().reshape([self.heads, -1, size])

def bias_by_head(self, index: int) -> Tensor:
    size = self.c_attn.weight.size(0)
    return self.c_attn.bias.narrow(0, index * size, size).view([self.heads, -1])

def weights(self) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    size = self.c_proj.weight.size(1)
    output = self.c_proj.weight.t().reshape([size, self.heads, -1]).transpose(0, 1)
    return (self.by_head(0), self.by_head(1), self.by_head(2), self.bias_by_head(0), self.bias_by_head(1),
            self.bias_by_head(2), output, self.c_proj.bias)

def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
    queries, keys, values = self.project(x, rotation)
    return self.output(self.mix(queries, keys, values, None, True))
)");
}

}  // namespace

Architecture build_gpt2(ArchitectureBuilder& builder, Control& control) {
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
    const Architecture::Block parts = {builder.norm(name + ".ln_1"), attention(builder, name + ".attn"),
                                       builder.norm(name + ".ln_2"),
                                       builder.mlp(name + ".mlp", "c_fc", "c_proj", true)};
    blocks.push_back(builder.block("GPT2Block", {"ln_1", "attn", "ln_2", "mlp"}, parts, parts.attention,
                                   "rotation: Tensor"));
    architecture.blocks.push_back(parts);
    calls += "    hidden = getattr(self.transformer.h, \"" + number + "\").forward(hidden, positions)\n";
  }

  architecture.final_norm = builder.norm("transformer.ln_f");
  const auto core =
      builder.script.build("GPT2Model",
                           {ScriptBuilder::module("wte", wte), ScriptBuilder::module("wpe", wpe),
                            ScriptBuilder::module("h", builder.stack("GPT2Blocks", blocks)),
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
  architecture.root = builder.script.build("GPT2LMHeadModel", members, R"(
def embed(self, input_ids: Tensor, positions: Tensor) -> Tensor:
    return self.transformer.wte.forward(input_ids) + self.transformer.wpe.forward(positions)

def rotation(self, positions: Tensor) -> Tensor:
    return positions

def unembed(self, hidden: Tensor) -> Tensor:
    hidden = self.transformer.ln_f.forward(hidden)
    return )" + output + R"(

def forward(self, input_ids: Tensor) -> Tensor:
    positions = torch.arange(input_ids.size(1), device=input_ids.device).unsqueeze(0)
    hidden = self.embed(input_ids, positions)
)" + calls + "    return self.unembed(hidden)\n");
  return architecture;
}

}  // namespace attention_bypass
