// Configs from practice: the logits that transformers computes, or a refusal that says what is not supported. The
// cases and their logits were computed with transformers 5.17.
import { readFileSync } from "node:fs";
import { copyFile, cp, writeFile } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError, convert, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { parseConfig } from "../lib/families/config.ts";
import { copyOf, editConfig, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";

interface Cases {
  tokens: number[];
  /** Logits, or the first line of an error. */
  cases: Record<string, { config: string; weights: string; transformers: number[] | string }>;
}

/** What a refusal must say of cases that transformers computes. */
const refused: Record<string, string[]> = {
  "act-gelu_10": ["gelu_10"],
  "act-hardswish": ["hardswish"],
  "act-prelu": ["prelu"],
  "act-sqrtsoftplus": ["sqrtsoftplus"],
  "both-base-theta": ["rotary_emb_base 500", "rope_theta 2000"],
  "eps-zero": ["layer_norm_eps"],
  "neo-conflict": ["attention_types", "attention_layers"],
  // Transformers makes up random weights for what is missing.
  "neo-tie-false-no-head": ["lm_head.weight"],
  num_layers: ["num_hidden_layers"],
  "partial-top-level": ["partial_rotary_factor 0.5", "rotary_pct 0.25"],
  "theta-alone": ["rope_theta 500", "rotary_emb_base 10000"],
};

/** Cases that transformers refuses and that have one meaning all the same, and the case that they equal. */
const equals: Record<string, string> = { "model-type-missing": "base" };

async function sameLogits(t: Test, name: string, folder: string, tokens: number[], expected: number[]): Promise<void> {
  const model = await loadModel(folder, { device: "cpu", dtype: "float32" });
  const { data } = await model.logits(tokens);
  await model.dispose();
  t.equal(data.length, expected.length, name);
  const largest = Math.max(...expected.map(Math.abs));
  const difference = Math.max(...expected.map((value, index) => Math.abs(value - (data[index] as number))));
  t.ok(difference <= 1e-4 * largest, `${name}: the logits that transformers computes`, { difference, largest });
}

const place = shared("bugs", "10-config");
t.test("configs from practice", { skip: place === undefined && skipReason }, async (t) => {
  const { tokens, cases }: Cases = JSON.parse(readFileSync(path.join(place as string, "cases.json"), "utf8"));
  for (const [name, { config, weights, transformers }] of Object.entries(cases)) {
    const folder = await temporaryFolder(t);
    await writeFile(path.join(folder, "config.json"), config);
    await copyFile(path.join(place as string, weights), path.join(folder, "model.safetensors"));
    const logits = cases[equals[name] ?? ""]?.transformers ?? transformers;
    if (refused[name] === undefined && typeof logits !== "string") await sameLogits(t, name, folder, tokens, logits);
    else {
      const error = await loadModel(folder, { device: "cpu" }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      t.ok(error instanceof AttentionBypassError, `${name}: a typed refusal`, { error });
      for (const part of refused[name] ?? []) t.match(String(error), part, `${name}: says ${part}`);
    }
  }
});

for (const [name, field] of [
  ["config-layers-2^32", "num_hidden_layers"],
  ["config-attention-types-1e9", "attention_types"],
] as const) {
  const hostile = shared("hostile", name);
  t.test(name, { skip: hostile === undefined && skipReason }, async (t) => {
    await refuses(t, name, () => loadModel(hostile as string, { device: "cpu" }), "CONFIG_INVALID", field);
  });
}

t.test("counts that no model has are refused before anything is made of them", async (t) => {
  for (const [key, value] of [
    ["num_hidden_layers", 1e9],
    ["num_attention_heads", 2 ** 40],
    ["max_position_embeddings", 1e12],
    ["vocab_size", 1e15],
    ["hidden_size", 2 ** 53],
    ["intermediate_size", 1e300],
  ] as const) {
    const folder = await copyOf("neox-serial", t);
    await editConfig(folder, (config) => Object.assign(config, { [key]: value }));
    await refuses(
      t,
      key,
      () => loadModel(folder, { device: "cpu" }),
      "CONFIG_INVALID",
      key,
      "a whole number from 1 to",
    );
  }
});

t.test("a number of Python's that JSON does not have", async (t) => {
  const folder = await copyOf("neox-serial", t);
  const file = path.join(folder, "config.json");
  const text = readFileSync(file, "utf8").replace("{", '{"a": [NaN, -Infinity], "NaN, \\"Infinity": Infinity,');
  await writeFile(file, text);
  await (await loadModel(folder, { device: "cpu" })).dispose();
  await writeFile(file, text.replace(/("layer_norm_eps": *)[^,}]+/, "$1NaN"));
  await refuses(t, "NaN", () => loadModel(folder, { device: "cpu" }), "CONFIG_INVALID", "layer_norm_eps", "NaN");
});

t.test("the dtype of the weights by either of its spellings", (t) => {
  const config = { model_type: "gpt_neox", hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1 };
  const sizes = { intermediate_size: 8, max_position_embeddings: 8, vocab_size: 8 };
  const dtype = (value: object) => parseConfig(JSON.stringify({ ...config, ...sizes, ...value }), "it").weightsDtype;
  t.equal(dtype({ torch_dtype: "float16" }), "float16");
  t.equal(dtype({ dtype: "torch.bfloat16" }), "bfloat16");
  t.equal(dtype({ dtype: { "": "float16" } }), undefined);
  t.end();
});

const twoEnds = shared("bugs", "18-eos-generation-config", "model");
t.test("end tokens of generation_config.json", { skip: twoEnds === undefined && skipReason }, async (t) => {
  const folder = await temporaryFolder(t);
  await cp(twoEnds as string, folder, { recursive: true });
  const archive = path.join(folder, "archive.pt");
  await convert(folder, archive);
  for (const from of [folder, archive]) {
    const model = await loadModel(from, { device: "cpu" });
    t.same(model.config.endTokens, [0, 88], from);
    const onward = await model.generate([1, 2], { maxNewTokens: 40, stopAtEndOfText: false });
    const end = onward.tokens.findIndex((token) => token === 0 || token === 88);
    t.ok(end > 0, "the model does write one");
    const { tokens, finishReason } = await model.generate([1, 2], { maxNewTokens: 40 });
    t.same(tokens, onward.tokens.slice(0, end + 1), "generation stops there");
    t.equal(finishReason, "end-of-text");
    await model.dispose();
  }
  await writeFile(path.join(folder, "generation_config.json"), '{"eos_token_id": 7}');
  const other = await loadModel(folder, { device: "cpu" });
  t.same(other.config.endTokens, [7], "it is the one that is used, as by transformers");
  await other.dispose();
  await writeFile(path.join(folder, "generation_config.json"), '{"eos_token_id": "end"}');
  await refuses(t, "text", () => loadModel(folder, { device: "cpu" }), "CONFIG_INVALID", "generation_config.json");
});
