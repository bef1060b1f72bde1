// Weights that contradict the config are refused: by the tensor's name where they are plain, by their logits where
// somebody else's code computes these.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { runScript } from "./support/child.ts";
import { copyOf, fixture } from "./support/fixtures.ts";
import { type HeaderRow, refusesToLoad, safetensors, spoiled, withConfig, withHeader } from "./support/spoil.ts";

t.setTimeout(300_000);

const query = "gpt_neox.layers.1.attention.query_key_value.weight";
const embedding = "gpt_neox.embed_in.weight";

for (const [key, value, tensor, asked, received] of [
  ["vocab_size", 68, embedding, "[68, 32]", "[67, 32]"],
  ["hidden_size", 64, embedding, "[67, 64]", "[67, 32]"],
  ["intermediate_size", 49, "gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "[49, 32]", "[48, 32]"],
] as const) {
  const spoil = withConfig((config) => (config[key] = value));
  spoiled(`${key} that the weights contradict`, "neox-serial", spoil, "TENSOR_SHAPE", tensor, asked, received);
}
spoiled(
  "a context that the weights contradict",
  "neo-types",
  withConfig((config) => (config.max_position_embeddings = 40)),
  "TENSOR_SHAPE",
  "wpe.weight",
  "[40, 32]",
  "[48, 32]",
);
spoiled(
  "a tensor with fewer axes",
  "neox-serial",
  withHeader((header) => (header[query]!.shape = [96 * 32])),
  "TENSOR_SHAPE",
  query,
  "[3072]",
);
spoiled(
  "a shape that its bytes do not hold",
  "neox-serial",
  withHeader((header) => (header[query]!.shape = [96, 33])),
  "TENSOR_SHAPE",
  query,
  "12672",
);
for (const tensor of [query, embedding, "embed_out.weight", "gpt_neox.final_layer_norm.bias"]) {
  const spoil = withHeader((header) => {
    header[`${tensor}s`] = header[tensor]!;
    delete header[tensor];
  });
  spoiled(`no ${tensor}`, "neox-serial", spoil, "TENSOR_MISSING", tensor);
}
for (const [dtype, size] of [
  ["I32", 4],
  ["U8", 1],
  ["F8_E4M3", 1],
  ["none", 4],
] as const) {
  /** Gives the tensor a dtype of another size, and the bytes that it then has. */
  const spoil = async (folder: string) => {
    const file = path.join(folder, "model.safetensors");
    const bytes = await readFile(file);
    const begin = 8 + Number(bytes.readBigUInt64LE());
    const header: Record<string, HeaderRow> = JSON.parse(bytes.subarray(8, begin).toString("utf8"));
    const [from, to] = header[query]!.data_offsets;
    const end = from + 96 * 32 * size;
    for (const row of Object.values(header)) {
      if (row.data_offsets[0] >= to)
        row.data_offsets = row.data_offsets.map((place) => place + end - to) as [number, number];
    }
    header[query] = { dtype, shape: [96, 32], data_offsets: [from, end] };
    const data = Buffer.concat([bytes.subarray(begin, begin + end), bytes.subarray(begin + to)]);
    await writeFile(file, safetensors(JSON.stringify(header), data));
  };
  spoiled(`a tensor of dtype ${dtype}`, "neox-serial", spoil, "TENSOR_DTYPE", query);
}
const layers = (count: number) => withConfig((config) => (config.num_hidden_layers = count));
spoiled("more blocks than the config says", "neox-serial", layers(2), "TENSOR_UNEXPECTED", "gpt_neox.layers.2.");
spoiled("fewer blocks than the config says", "neox-serial", layers(4), "TENSOR_MISSING", "gpt_neox.layers.3.");
spoiled(
  "biases that the config denies",
  "neox-serial",
  withConfig((config) => (config.attention_bias = false)),
  "TENSOR_UNEXPECTED",
  "attention",
  "bias",
);

t.test("a shape whose size overflows does not end the process", async (t) => {
  const folder = await copyOf("neox-serial", t);
  for (const shape of [
    [2 ** 32, 2 ** 32],
    [2 ** 31, 2 ** 31, 4],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2 ** 53 - 1, 0],
  ]) {
    await withHeader((header) => (header[query]!.shape = shape))(folder);
    const source = `
      import { loadModel } from "attention-bypass";
      await loadModel(process.argv.at(-1), { device: "cpu" }).catch((error) => console.log(error.code, error.message));
    `;
    const { code, signal, stdout, stderr } = await runScript(source, [folder]);
    t.same([code, signal], [0, null], `[${shape}]`, { stderr: stderr.slice(0, 300) });
    t.match(stdout, /^TENSOR_SHAPE .*gpt_neox\.layers\.1/, `[${shape}]`);
  }
});

// Modules that were traced elsewhere.

t.test("a traced module of another family", async (t) => {
  for (const [name, other] of [
    ["traced-neox", "traced-neo"],
    ["traced-neo", "traced-neox"],
  ] as const) {
    const folder = await copyOf(name, t);
    await writeFile(path.join(folder, "config.json"), await readFile(path.join(fixture(other), "config.json")));
    await refusesToLoad(t, folder, "TENSOR_MISSING", other === "traced-neo" ? "wte.weight" : "embed_in.weight");
  }
});
spoiled("a traced module of another size", "traced-neox", layers(2), "TENSOR_UNEXPECTED", "layers.2.");

for (const [title, change] of [
  ["rotary dimensions", { rope_parameters: { partial_rotary_factor: 0.25, rope_theta: 10000, rope_type: "default" } }],
  ["rotary base", { rope_parameters: { partial_rotary_factor: 0.5, rope_theta: 100, rope_type: "default" } }],
  ["epsilon", { layer_norm_eps: 1e-2 }],
  ["residual", { use_parallel_residual: false }],
  ["activation", { hidden_act: "relu" }],
  ["heads", { num_attention_heads: 2 }],
] as const) {
  for (const name of ["traced-neox", "traced-neox-fixed-length"]) {
    const spoil = withConfig((config) => Object.assign(config, change));
    spoiled(`${name} with another ${title}`, name, spoil, "TRACE_DISAGREES", "model.pt", "differ by");
  }
}
spoiled(
  "traced-neo with another window",
  "traced-neo",
  withConfig((config) => (config.window_size = 2)),
  "TRACE_DISAGREES",
  "model.pt",
);
