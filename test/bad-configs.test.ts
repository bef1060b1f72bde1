// A model whose files, config or tokenizer can't be used is refused with a code and a line that says which and why.
import { rm } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel } from "attention-bypass";
import t from "tap";
import { copyOf, fixture, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";
import { type Config, refusesToLoad, spoiled, withConfig, withFile, without } from "./support/spoil.ts";

t.setTimeout(300_000);

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
  const long = withConfig((config) => (config[key] = "0".repeat(10_000)));
  spoiled(`a long activation of ${name}`, name, long, "ACTIVATION_UNSUPPORTED", "000...");
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
