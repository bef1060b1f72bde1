// A checkpoint that can't be loaded is refused with a code and a line that names what is wrong, and nothing is left behind.
import { readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { convert, type ErrorCode, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { runScript } from "./support/child.ts";
import { copyOf, editConfig, fixture, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";

t.setTimeout(300_000);

type Config = Record<string, unknown>;

/** Asserts that a place is refused, and that a good one still loads and runs. */
async function refusesToLoad(t: Test, place: string, code: ErrorCode, ...said: string[]): Promise<void> {
  await refuses(t, "loadModel", () => loadModel(place, { device: "cpu" }), code, ...said);
  const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
  t.equal((await model.generate([1, 2, 3], { maxNewTokens: 2, stopAtEndOfText: false })).tokens.length, 2);
  await model.dispose();
}

/** A test of a copy of a committed model that was spoiled. */
function spoiled(
  title: string,
  name: string,
  spoil: (folder: string) => Promise<unknown>,
  code: ErrorCode,
  ...said: string[]
): void {
  t.test(title, async (t) => {
    const folder = await copyOf(name, t);
    await spoil(folder);
    await refusesToLoad(t, folder, code, ...said);
  });
}

const withConfig = (change: (config: Config) => void) => (folder: string) => editConfig(folder, change);
const withFile = (name: string, content: string | Uint8Array) => (folder: string) =>
  writeFile(path.join(folder, name), content);
const without = (name: string) => (folder: string) => rm(path.join(folder, name));

/** Cuts a file off; a negative size counts from its end. */
const cut = (name: string, size: number) => async (folder: string) => {
  const file = path.join(folder, name);
  await truncate(file, size < 0 ? (await readFile(file)).length + size : size);
};

interface HeaderRow {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function safetensors(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

/** Rewrites the header of model.safetensors. */
const withHeader = (change: (header: Record<string, HeaderRow>) => void) => async (folder: string) => {
  const file = path.join(folder, "model.safetensors");
  const bytes = await readFile(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, end).toString("utf8"));
  change(header);
  await writeFile(file, safetensors(JSON.stringify(header), bytes.subarray(end)));
};

const query = "gpt_neox.layers.1.attention.query_key_value.weight";

// Places.

t.test("a path that does not exist", async (t) => {
  const folder = await temporaryFolder(t);
  await refusesToLoad(t, path.join(folder, "nothing"), "FILE_NOT_FOUND", path.join(folder, "nothing"));
  await refusesToLoad(t, path.join(fixture("neox-serial"), "config.json", "x"), "FILE_NOT_FOUND", "config.json/x");
});

t.test("a path that no file system takes", async (t) => {
  await refusesToLoad(t, `${fixture("neox-serial")}\0`, "INVALID_ARGUMENT", "path");
  await refusesToLoad(t, path.join(fixture("neox-serial"), "x".repeat(300)), "FILE_NOT_FOUND", "xxx");
});

spoiled("a folder without a config", "neox-serial", without("config.json"), "CONFIG_MISSING", "config.json");

t.test("a weights file without a config beside it", async (t) => {
  const folder = await copyOf("neox-old-keys", t);
  await rm(path.join(folder, "config.json"));
  await refusesToLoad(t, path.join(folder, "pytorch_model.bin"), "CONFIG_MISSING", path.join(folder, "config.json"));
});

t.test("an empty folder", async (t) => {
  const folder = await temporaryFolder(t);
  await refusesToLoad(t, folder, "CONFIG_MISSING", path.join(folder, "config.json"));
});

// Configs.

spoiled(
  "a config that is not JSON",
  "neox-serial",
  withFile("config.json", "{,"),
  "CONFIG_INVALID",
  "config.json",
  "JSON",
);
spoiled(
  "a config of several lines that is not JSON",
  "neox-serial",
  withFile("config.json", '{\n "vocab_size": x\n}\n'),
  "CONFIG_INVALID",
  "config.json",
);
spoiled("an empty config", "neox-serial", withFile("config.json", ""), "CONFIG_INVALID", "config.json");
spoiled("a config that is no object", "neox-serial", withFile("config.json", "null"), "CONFIG_INVALID", "null");

for (const [name, keys] of [
  [
    "neox-serial",
    [
      "vocab_size",
      "hidden_size",
      "max_position_embeddings",
      "num_hidden_layers",
      "num_attention_heads",
      "intermediate_size",
    ],
  ],
  ["neo-types", ["vocab_size", "hidden_size", "max_position_embeddings", "num_layers", "num_heads"]],
] as const) {
  for (const key of keys) {
    spoiled(
      `${name} without ${key}`,
      name,
      withConfig((config) => delete config[key]),
      "CONFIG_INVALID",
      "config.json",
      key,
    );
  }
}

for (const [key, value, received] of [
  ["vocab_size", "67", '"67"'],
  ["hidden_size", 0, "0"],
  ["num_hidden_layers", -1, "-1"],
  ["max_position_embeddings", 1.5, "1.5"],
  ["layer_norm_eps", 0, "0"],
  ["use_parallel_residual", "yes", '"yes"'],
  ["eos_token_id", "end", '"end"'],
  ["rotary_pct", 2, "2"],
  ["rotary_emb_base", -1, "-1"],
] as const) {
  const spoil = withConfig((config) => (config[key] = value));
  spoiled(`${key} of ${received}`, "neox-old-keys", spoil, "CONFIG_INVALID", "config.json", key, received);
}

const family = (config: Config) => Object.assign(config, { model_type: "llama" });
spoiled("another family", "neox-serial", withConfig(family), "ARCHITECTURE_UNSUPPORTED", "llama", "gpt_neox");
spoiled(
  "an architecture of another family alone",
  "neox-serial",
  withConfig((config) => {
    delete config.model_type;
    config.architectures = ["OPTForCausalLM"];
  }),
  "ARCHITECTURE_UNSUPPORTED",
  "OPTForCausalLM",
);
for (const [name, key] of [
  ["neox-serial", "hidden_act"],
  ["neo-types", "activation_function"],
] as const) {
  const spoil = withConfig((config) => (config[key] = "gelu_11"));
  spoiled(`an activation of ${name}`, name, spoil, "ACTIVATION_UNSUPPORTED", '"gelu_11"', "gelu_new");
}
for (const [name, key, value] of [
  ["neox-serial", "rope_parameters", { rope_type: "yarn", rope_theta: 10000, factor: 2 }],
  ["neox-old-keys", "rope_scaling", { type: "linear", factor: 2 }],
  ["neox-old-keys", "rope_scaling", { rope_type: "dynamic", factor: 2 }],
] as const) {
  const scaling = "type" in value ? value.type : value.rope_type;
  const spoil = withConfig((config) => (config[key] = value));
  spoiled(`${scaling} scaling in ${key}`, name, spoil, "ROPE_SCALING_UNSUPPORTED", `"${scaling}"`, "config.json");
}
for (const [title, types, received] of [
  ["too few", [[["global"], 2]], "received 2"],
  ["too many", [[["global", "local"], 2]], "received 4"],
] as const) {
  const spoil = withConfig((config) => (config.attention_types = types));
  spoiled(`${title} attention_types`, "neo-types", spoil, "CONFIG_INVALID", "attention_types", "3 blocks", received);
}
spoiled(
  "an unknown kind of attention",
  "neo-types",
  withConfig((config) => (config.attention_types = [[["sparse"], 3]])),
  "CONFIG_INVALID",
  "attention_types",
  '"sparse"',
);
spoiled(
  "heads that do not share the width",
  "neox-serial",
  withConfig((config) => (config.num_attention_heads = 5)),
  "CONFIG_INVALID",
  "5 heads",
  "hidden_size 32",
);

// Files of weights.

spoiled(
  "no weights at all",
  "neox-serial",
  without("model.safetensors"),
  "WEIGHTS_MISSING",
  "model.safetensors",
  "model.pt",
);
for (const [name, shard] of [
  ["neox-sharded", "model-00002-of-00003.safetensors"],
  ["neox-sharded-bin", "pytorch_model-00002-of-00002.bin"],
] as const) {
  spoiled(`${name} without a shard`, name, without(shard), "WEIGHTS_MISSING", shard, "index.json");
}
const index = "model.safetensors.index.json";
spoiled("an index that is not JSON", "neox-sharded", withFile(index, "{"), "WEIGHTS_INVALID", index, "JSON");
spoiled(
  "an index of several lines that is not JSON",
  "neox-sharded",
  withFile(index, "{\n x\n}"),
  "WEIGHTS_INVALID",
  index,
);
spoiled("an index without a map", "neox-sharded", withFile(index, "{}"), "WEIGHTS_INVALID", index, "weight_map");

for (const [title, size] of [
  ["no byte long", 0],
  ["that ends in the header's length", 5],
  ["that ends in the header", 100],
  ["that ends in the data", -1],
] as const) {
  const name = "model.safetensors";
  spoiled(`a safetensors file ${title}`, "neox-serial", cut(name, size), "WEIGHTS_TRUNCATED", name, "ends at");
  const shard = "model-00003-of-00003.safetensors";
  spoiled(`a shard ${title}`, "neox-sharded", cut(shard, size), "WEIGHTS_TRUNCATED", shard, "ends at");
}

const embedding = "gpt_neox.embed_in.weight";
for (const [title, bytes] of [
  ["garbage of a great length", Buffer.alloc(500, 0xa5)],
  ["garbage of a small length", safetensors("\x01\x02 garbage \x03")],
  ["several lines that are not JSON", safetensors("{\n garbage\n}")],
  ["null", safetensors("null")],
  ["a list", safetensors("[1, 2]")],
  ["a string", safetensors('"text"')],
  [
    "a tensor without a shape",
    safetensors(`{"${embedding}": {"dtype": "F32", "data_offsets": [0, 4]}}`, Buffer.alloc(4)),
  ],
  ["a tensor that is null", safetensors(`{"${embedding}": null}`)],
  ["negative offsets", safetensors(`{"${embedding}": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}`)],
] as const) {
  const spoil = withFile("model.safetensors", bytes);
  spoiled(`a safetensors header of ${title}`, "neox-serial", spoil, "WEIGHTS_INVALID", "model.safetensors");
}

for (const size of [0, 10, 1000, -1, -100]) {
  const title = `pytorch_model.bin cut to ${size} bytes`;
  spoiled(title, "neox-old-keys", cut("pytorch_model.bin", size), "ARCHIVE_INVALID", "pytorch_model.bin");
  spoiled(`model.pt cut to ${size} bytes`, "traced-neox", cut("model.pt", size), "ARCHIVE_INVALID", "model.pt");
}

t.test("an archive of this package that is cut off", async (t) => {
  const file = path.join(await temporaryFolder(t), "cut.pt");
  await convert(fixture("neox-serial"), file);
  await truncate(file, (await readFile(file)).length - 2000);
  await refusesToLoad(t, file, "ARCHIVE_INVALID", file);
  await refuses(t, "convert", () => convert(file, `${file}.again`), "ARCHIVE_INVALID", file);
});

const emptyZip = Buffer.concat([Buffer.from("PK\x05\x06", "latin1"), Buffer.alloc(18)]);
for (const [title, bytes] of [
  ["text", Buffer.from("weights")],
  ["random bytes", Buffer.alloc(100_000, 0xa5)],
  ["a zip without anything in it", emptyZip],
] as const) {
  const spoil = withFile("pytorch_model.bin", bytes);
  spoiled(`pytorch_model.bin that is ${title}`, "neox-old-keys", spoil, "ARCHIVE_INVALID", "pytorch_model.bin");
}
t.test("a file that is no archive", (t) =>
  refusesToLoad(t, path.join(fixture("neox-serial"), "config.json"), "ARCHIVE_INVALID", "config.json"),
);

// Tensors.

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
for (const dtype of ["I32", "U8", "F8_E4M3", "none"]) {
  const spoil = withHeader((header) => {
    const row = header[query] as HeaderRow;
    row.dtype = dtype;
  });
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

// Tokenizers.

for (const [title, name, content] of [
  ["tokenizer.json that is not JSON", "tokenizer.json", "{"],
  ["tokenizer.json that is no tokenizer", "tokenizer.json", "{}"],
  ["tokenizer.json of an unknown model", "tokenizer.json", '{"model": {"type": "Abacus"}, "added_tokens": []}'],
  ["tokenizer.json that is null", "tokenizer.json", "null"],
] as const) {
  spoiled(title, "neox-serial", withFile(name, content), "TOKENIZER_INVALID", "token");
}
spoiled(
  "vocab.json that is not JSON",
  "neox-serial",
  async (folder) => {
    await withFile("vocab.json", "{")(folder);
    await withFile("merges.txt", "")(folder);
  },
  "TOKENIZER_INVALID",
  "vocab.json",
);
t.test("a tokenizer that is not there", async (t) => {
  const folder = await temporaryFolder(t);
  const model = fixture("neox-serial");
  for (const tokenizer of [folder, path.join(folder, "tokenizer.json")]) {
    await refuses(t, "loadModel", () => loadModel(model, { device: "cpu", tokenizer }), "FILE_NOT_FOUND", tokenizer);
    await refuses(
      t,
      "convert",
      () => convert(model, path.join(folder, "x.pt"), { tokenizer }),
      "FILE_NOT_FOUND",
      tokenizer,
    );
  }
});

t.test("a refused file is left as it is, and let go of", async (t) => {
  const folder = await copyOf("neox-serial", t);
  const file = path.join(folder, "model.safetensors");
  const bytes = await readFile(file);
  await editConfig(folder, (config) => (config.vocab_size = 68));
  await refusesToLoad(t, folder, "TENSOR_SHAPE", embedding);
  t.ok(bytes.equals(await readFile(file)), "nothing has written to it");
  await rename(file, `${file}.moved`);
  await refusesToLoad(t, folder, "WEIGHTS_MISSING", folder);
});
