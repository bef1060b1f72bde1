// GPT-2: learned position embeddings, one projection for queries, keys and values, transposed weights, serial
// blocks, and tied embeddings.

#include <string>

#include "model/learned_positions.h"

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
  const auto block = [&builder](int64_t, const std::string& name) -> LearnedPositions::Block {
    const Architecture::Block parts = {builder.norm(name + ".ln_1"), attention(builder, name + ".attn"),
                                       builder.norm(name + ".ln_2"),
                                       builder.mlp(name + ".mlp", "c_fc", "c_proj", true)};
    return {parts,
            builder.block("GPT2Block", {"ln_1", "attn", "ln_2", "mlp"}, parts, parts.attention,
                          "rotation: Tensor"),
            "positions"};
  };
  return build_with_learned_positions(builder, {"GPT2", "GPT2LMHeadModel", block, ""}, control);
}

}  // namespace attention_bypass
