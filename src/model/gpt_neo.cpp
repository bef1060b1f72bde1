// GPT-Neo: learned position embeddings, blocks that attend to all tokens and blocks that attend to a window,
// attention scores without scaling, serial blocks.

#include <string>

#include "model/learned_positions.h"

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
  const auto block = [&builder](int64_t index, const std::string& name) -> LearnedPositions::Block {
    const Architecture::Block parts = {
        builder.norm(name + ".ln_1"), attention(builder, name + ".attn.attention"),
        builder.norm(name + ".ln_2"), builder.mlp(name + ".mlp", "c_fc", "c_proj")};
    const auto attn =
        builder.script.build("GPTNeoAttention", {ScriptBuilder::module("attention", parts.attention)}, R"(
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
