// Checkpoint folders that `convert` writes: their files, from every source, what is refused, and what comes on top.
import { chmod, cp, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { inspect } from "node:util";
import { type Bypass, convert, diagnose, embeddedModel, loadModel } from "attention-bypass";
import t from "tap";
import { root, runCommand } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python } from "./support/python.ts";
import { randomTokens } from "./support/random-model.ts";
import { refuses } from "./support/refusals.ts";
import { shared } from "./support/shared.ts";
import { close, inPython, newTokens, type Written } from "./support/written-models.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;
const here = { device: "cpu", threads: 1 } as const;
const text = "Why was it that 12 of them  went there?\n";

interface StoredTensor {
  dtype: string;
  shape: number[];
  bytes: Buffer;
}

/** The tensors of a folder's safetensors files, by name, and the size of each file's data. */
async function readTensors(folder: string) {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".safetensors")).sort();
  const tensors = new Map<string, StoredTensor & { file: string }>();
  const sizes = new Map<string, number>();
  for (const file of files) {
    const bytes = await readFile(path.join(folder, file));
    const begin = 8 + Number(bytes.readBigUInt64LE());
    if (begin % 8 !== 0) throw new Error(`expected aligned data in ${file}`);
    sizes.set(file, bytes.length - begin);
    for (const [name, row] of Object.entries(JSON.parse(bytes.toString("utf8", 8, begin)))) {
      if (name === "__metadata__") continue;
      const { dtype, shape, data_offsets } = row as { dtype: string; shape: number[]; data_offsets: [number, number] };
      const data = bytes.subarray(begin + data_offsets[0], begin + data_offsets[1]);
      tensors.set(name, { dtype, shape, bytes: data, file });
    }
  }
  return { tensors, sizes };
}

const readJson = async (folder: string, name: string) => JSON.parse(await readFile(path.join(folder, name), "utf8"));

/** The logits of a model with a bypass. */
async function logitsOf(place: string, rows: number[][], bypass?: Bypass, dtype: "float32" | "float16" = "float32") {
  await using model = await loadModel(place, { ...here, dtype });
  return (await model.logits(rows, bypass && { bypass })).data;
}

t.test("in float16, in shards, and with tied embeddings", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const q4 = { blocks: { quartile: 4 } } as const;
  const trained = [embeddedModel("gpt-neox"), embeddedModel("gpt-neo")];
  for (const name of ["pythia-study", "gpt-neo-study"])
    trained.push(...[shared("study", name)].flatMap((a) => a ?? []));
  // Weights that are float32 in the files are rounded, and this package rounds them too.
  const { runtime } = await diagnose();
  const exact = runtime?.cpuArithmetic.float16 === "float32";
  const untrained = ["neox-serial", "neo-types", "gpt2"].map(fixture);
  const written: (Written & { place: string; tied: boolean })[] = [];
  for (const [index, place] of [...trained, ...untrained].entries()) {
    const at = path.join(folder, `${index}`);
    await convert(place, at, { format: "checkpoint", bypass: q4, dtype: "float16", shardSize: 2_000_000 });
    const { vocab_size, tie_word_embeddings } = await readJson(at, "config.json");
    written.push({ path: at, place, rows: [randomTokens(8, vocab_size, 3)], tied: tie_word_embeddings });
  }
  t.same(new Set(written.map(({ tied }) => tied)), new Set([true, false]));
  const theirs = await inPython(interpreter, folder, written);
  for (const [index, { path: at, place, rows, tied }] of written.entries()) {
    const { problems, logits, greedy, tied: tiedThere } = theirs[index] as (typeof theirs)[number];
    const name = path.basename(place);
    t.same(problems, [], `${name}: keys`);
    t.equal(tiedThere, tied, `${name}: tied`);
    const { tensors } = await readTensors(at);
    t.equal(
      [...tensors.keys()].some((tensor) => /lm_head|embed_out/.test(tensor)),
      !tied,
      `${name}: written once`,
    );
    const isTrained = trained.includes(place);
    // Trained models are float16 in the files, so float32 computes with the same weights.
    const expected = await logitsOf(place, rows, q4, isTrained ? "float32" : "float16");
    close(t, logits, expected, isTrained || exact ? 2e-4 : 1e-2, name);
    if (isTrained) {
      await using model = await loadModel(place, { ...here, dtype: "float32" });
      const options = { bypass: q4, maxNewTokens: newTokens, stopAtEndOfText: false };
      t.same([(await model.generate(rows[0] as number[], options)).tokens], greedy, `${name}: greedy tokens`);
      t.same(new Set([...tensors.values()].map(({ dtype }) => dtype)), new Set(["F16"]), `${name}: all in float16`);
    }
    const { dtype, torch_dtype } = await readJson(at, "config.json");
    t.same([dtype, torch_dtype], ["float16", "float16"]);
  }
});

t.test("only what is bypassed differs from the original", async (t) => {
  const folder = path.join(await temporaryFolder(t), "written");
  const place = embeddedModel("gpt-neox");
  await convert(place, folder, {
    format: "checkpoint",
    bypass: { blocks: [6], heads: { 3: [1] } },
    shardSize: 300_000,
  });
  const original = (await readTensors(place)).tensors;
  const { tensors, sizes } = await readTensors(folder);
  t.same([...tensors.keys()].sort(), [...original.keys()].sort());
  const changed = [...tensors].filter(([name, { bytes }]) => !bytes.equals(original.get(name)?.bytes as Buffer));
  t.same(
    changed.map(([name]) => name).sort(),
    [3, 6, 6]
      .map((block, index) => `gpt_neox.layers.${block}.attention.dense.${index === 1 ? "bias" : "weight"}`)
      .sort(),
  );
  for (const [name, { dtype, shape }] of tensors) t.match(original.get(name), { dtype, shape }, name);

  const index = await readJson(folder, "model.safetensors.index.json");
  t.ok(sizes.size > 3, "several files");
  t.equal(
    index.metadata.total_size,
    [...sizes.values()].reduce((sum, size) => sum + size, 0),
  );
  for (const [name, { file }] of tensors) t.equal(index.weight_map[name], file, name);
  for (const [file, size] of sizes) {
    const count = [...tensors.values()].filter((tensor) => tensor.file === file).length;
    t.ok(size <= 300_000 || count === 1, `${file}: ${size} bytes`);
  }

  t.same((await readdir(folder)).filter((name) => !name.endsWith(".safetensors")).sort(), [
    ...["README.md", "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json"],
  ]);
  for (const name of ["tokenizer.json", "generation_config.json"]) {
    t.same(await readFile(path.join(folder, name)), await readFile(path.join(place, name)), name);
  }
  // Without rope_parameters, older readers would take their defaults.
  const { rope_parameters: rope, ...config } = await readJson(folder, "config.json");
  t.match(config, { rotary_pct: rope.partial_rotary_factor, rotary_emb_base: rope.rope_theta, model_type: "gpt_neox" });
  const readme = await readFile(path.join(folder, "README.md"), "utf8");
  t.match(readme, "- block 6; block 3 head 1 (zero).");
  t.notMatch(readme, path.dirname(place), "no path of this machine");
  await using model = await loadModel(folder, here);
  t.match(inspect(model), ", bypass of block 6; block 3 head 1 (zero) in the weights");
});

t.test("from every source", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const bypass = { blocks: [1], part: "mlp" } as const;
  const sources = ["neox-sharded-bin", "neox-old-keys", "neo-base-names", "traced-neo", "traced-neox"];
  const written: (Written & { expected: ArrayLike<number> })[] = [];
  const add = async (name: string, from: string, bypass?: Bypass) => {
    await using model = await loadModel(from, here);
    const rows = [randomTokens(6, model.config.vocabularySize)];
    const { data } = await model.logits(rows, bypass && { bypass });
    const ids = model.tokenizer && { text };
    written.push({ path: at(name), rows, expected: data, ...ids });
  };
  for (const name of sources) {
    const trust = name === "traced-neox";
    await convert(fixture(name), at(name), { format: "checkpoint", bypass, trust });
    await using model = await loadModel(at(name), here);
    t.equal(/unchecked/.test(inspect(model)), name === "traced-neo", `${name}: unchecked`);
    await add(name, fixture(name), bypass);
  }
  // With a chat template, which the archive keeps.
  const template = "{% for message in messages %}{{ message.content }}{% endfor %}";
  await cp(embeddedModel("gpt-neo"), at("chats"), { recursive: true });
  await writeFile(path.join(at("chats"), "chat_template.jinja"), template);
  await convert(at("chats"), at("model.pt"), { bypass: { blocks: [0] } });
  t.notOk((await readFile(at("model.pt"))).includes('"chat_template"'), "other readers refuse it in tokenizer.json");
  await convert(at("model.pt"), at("from-archive"), { format: "checkpoint", bypass });
  await add("from-archive", at("model.pt"), bypass);
  await convert(embeddedModel("gpt-neo"), at("plain"), { format: "checkpoint" });
  await add("plain", embeddedModel("gpt-neo"));
  const tokenizer = path.join(embeddedModel("gpt-neox"), "tokenizer.json");
  await convert(embeddedModel("gpt-neo"), at("chosen"), { format: "checkpoint", tokenizer });
  await add("chosen", embeddedModel("gpt-neo"));
  const loaded = await inPython(interpreter, folder, written);
  for (const [index, { path: place, expected }] of written.entries()) {
    const name = path.basename(place);
    t.same(loaded[index]?.problems, [], `${name}: keys`);
    close(t, loaded[index]?.logits ?? [], expected, 2e-4, name);
    await using model = await loadModel(place, here);
    if (loaded[index]?.ids) t.same(loaded[index]?.ids, model.tokenizer?.encode(text), `${name}: tokens`);
  }
  t.ok(loaded.filter(({ ids }) => ids).length >= 3, "tokenizers were compared");
  t.same(await readJson(at("from-archive"), "generation_config.json"), { eos_token_id: 0 });
  t.equal(await readFile(path.join(at("from-archive"), "chat_template.jinja"), "utf8"), template);
  await using both = await loadModel(at("from-archive"), here);
  t.equal(both.notices.length, 2, "both bypasses are told");
  t.match(inspect(both), ", bypass of block 0 (zero) in the weights, bypass of block 1 MLP (zero) in the weights");
  await using plain = await loadModel(at("plain"), here);
  t.same(plain.notices, []);
  t.same(plain.config.endTokens, [0]);
});

t.test("what a checkpoint can't hold", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const serial = fixture("neox-serial");
  const write = (from: string, bypass: Bypass) => () => convert(from, at("out"), { format: "checkpoint", bypass });
  const short = { blocks: [1], mode: "short-circuit" } as const;
  await refuses(t, "blocks", write(serial, short), "INVALID_ARGUMENT", '"short-circuit"', '"torchscript"');
  const heads = { heads: { 0: [1] }, mode: "short-circuit" } as const;
  await refuses(t, "heads", write(serial, heads), "INVALID_ARGUMENT", '"short-circuit"', '"torchscript"');
  await convert(serial, at("short.pt"), { bypass: short });
  const again = write(at("short.pt"), { blocks: [0] });
  await refuses(t, "an archive's", again, "INVALID_ARGUMENT", "block 1 heads 0, 1, 2, 3", '"torchscript"');
  await write(at("short.pt"), { blocks: [1] })();
  const rows = [randomTokens(6, 60)];
  close(t, await logitsOf(at("out"), rows), await logitsOf(serial, rows, { blocks: [1] }), 2e-4, "overridden");

  const biasless = fixture("neox-no-attention-bias");
  await using model = await loadModel(biasless, here);
  const { means } = await model.attention([randomTokens(9, model.config.vocabularySize)]);
  const mean = { blocks: [1], mode: "mean", means } as const;
  const message = ["gpt-neox", "attention_bias", '"torchscript"'];
  const other = (bypass: Bypass) => () => convert(biasless, at("other"), { format: "checkpoint", bypass });
  await refuses(t, "no bias", other(mean), "INVALID_ARGUMENT", ...message);
  await other({ ...mean, part: "mlp" })();
});

t.test("a bypass of a call comes on top of that in the weights", async (t) => {
  const archive = path.join(await temporaryFolder(t), "model.pt");
  const place = fixture("neo-types");
  await convert(place, archive, { bypass: { blocks: [1], heads: { 0: [0, 1] }, mode: "short-circuit" } });
  await using written = await loadModel(archive, here);
  await using original = await loadModel(place, here);
  const rows = [0, 1].map((seed) => randomTokens(12, original.config.vocabularySize, seed));
  t.same(written.config.shortCircuit, { 0: [0, 1], 1: [0, 1, 2, 3] });
  const same = async (name: string, onTop: Bypass, all: Bypass) => {
    const { data } = await written.logits(rows, { bypass: onTop });
    close(t, data, (await original.logits(rows, { bypass: all })).data, 2e-4, name);
  };
  // What a call bypasses replaces the output, whatever it is in the weights.
  const own = { 0: [0, 1], 1: [0, 1, 2, 3] };
  await same(
    "another block's heads",
    { heads: { 2: [3] }, mode: "short-circuit" },
    { heads: { ...own, 2: [3] }, mode: "short-circuit" },
  );
  await same("as in the weights", { blocks: [1], mode: "short-circuit" }, { heads: own, mode: "short-circuit" });
  await same("everything replaced", { blocks: [0, 1] }, { blocks: [0, 1] });

  // Every call agrees with a forward pass of the same bypass.
  const bypass = { heads: { 1: [2] } };
  const alone = await written.scoreMemorization(rows, { prefixLength: 5, bypass });
  const { base, variants } = await written.sweep({ samples: rows, prefixLength: 5, over: ["heads"] });
  const head = variants.find(({ heads }) => heads?.[1]?.[0] === 2)?.memorization;
  const likelihood = (scores?: { perRow: readonly { suffixLogLikelihood: number }[] }) =>
    (scores?.perRow ?? []).map(({ suffixLogLikelihood }) => suffixLogLikelihood);
  close(t, likelihood(head), likelihood(alone), 1e-5, "a sweep");
  const plain = await original.scoreMemorization(rows, {
    prefixLength: 5,
    bypass: { heads: own, mode: "short-circuit" },
  });
  close(t, likelihood(base.memorization), likelihood(plain), 1e-5, "its base");
  const { means } = await written.attention(rows);
  const mean = await written.logits(rows, { bypass: { blocks: [1], mode: "mean", means } });
  t.ok(mean.data.every(Number.isFinite));
  for (const over of [{ blocks: [0] }, { heads: { 1: [3] } }, { blocks: [2], mode: "short-circuit" as const }]) {
    const { blocks } = await written.divergence(rows[0] as number[], { bypass: over });
    for (const { distance, bound } of blocks) {
      t.ok(
        distance.every((value, at) => value <= (bound[at] as number)),
        `${JSON.stringify(over)}: a bound`,
      );
    }
    t.ok(blocks.at(-1)?.distance.some((value) => value > 0));
  }
});

t.test("a folder appears whole or not at all", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const place = fixture("neox-serial");
  const write = (to: string, options = {}) => convert(place, to, { format: "checkpoint", ...options });
  await mkdir(at("full"));
  await writeFile(at("full/file"), "before");
  await writeFile(at("file"), "before");
  await refuses(t, "full", () => write(at("full")), "WRITE_FAILED", at("full"), "not empty");
  await refuses(t, "file", () => write(at("file")), "WRITE_FAILED", at("file"), "it is a file");
  await refuses(t, "nowhere", () => write(at("no/folder")), "WRITE_FAILED", at("no/folder"));
  await refuses(t, "name", () => write(at("model.pt")), "INVALID_ARGUMENT", "such as model");
  await refuses(t, "format", () => write(at("x"), { format: "gguf" }), "INVALID_ARGUMENT", "options.format");
  await refuses(t, "shards", () => write(at("x"), { shardSize: 0 }), "INVALID_ARGUMENT", "options.shardSize");
  const blocks = { bypass: { blocks: [9] } };
  await refuses(t, "block", () => write(at("x"), blocks), "BLOCK_OUT_OF_RANGE", "options.bypass");
  const abort = new AbortController();
  const onProgress = (fraction: number) => fraction > 0.3 && abort.abort(new Error("enough"));
  await t.rejects(write(at("x"), { signal: abort.signal, onProgress, shardSize: 1 }), /enough/);
  t.same((await readdir(folder)).sort(), ["file", "full"], "nothing is left over");
  t.equal(await readFile(at("full/file"), "utf8"), "before");

  await mkdir(at("empty"));
  await chmod(at("empty"), 0o700);
  await symlink("empty", at("link"));
  const fractions: number[] = [];
  await write(at("link"), { onProgress: (fraction: number) => fractions.push(fraction) });
  t.equal((await stat(at("empty"))).mode & 0o777, 0o700, "permissions stay");
  t.equal(fractions.at(-1), 1);
  t.ok(
    fractions.every((fraction, index) => fraction >= (fractions[index - 1] ?? 0)),
    "progress rises",
  );
  await using model = await loadModel(at("link"), here);
  t.equal(model.config.family, "gpt-neox");
});

t.test("files that say something impossible of a bypass", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const place = fixture("neox-serial");
  await convert(place, at("model.pt"), { bypass: { blocks: [1], mode: "short-circuit" } });
  const archive = await readFile(at("model.pt"), "latin1");
  const change = (from: string, to: string) => writeFile(at("spoiled.pt"), archive.replace(from, to), "latin1");
  const load = (name: string) => () => loadModel(at(name), here);
  await change('"shortCircuit":{"1":[0', '"shortCircuit":{"7":[0');
  await refuses(t, "block", load("spoiled.pt"), "WEIGHTS_INVALID", "shortCircuit", "7: 0,1,2,3");
  await change('"shortCircuit":{"1":[0', '"shortCircuit":{"1":[9');
  await refuses(t, "head", load("spoiled.pt"), "WEIGHTS_INVALID", "shortCircuit", "1: 9,1,2,3");
  await change('"mode":"short-circuit"', '"mode":"short-sighted"');
  await refuses(t, "mode", load("spoiled.pt"), "WEIGHTS_INVALID", "bypasses.0.mode", "short-sighted");
  await change('{"version"', '["version"');
  await refuses(t, "JSON", load("spoiled.pt"), "WEIGHTS_INVALID", "attention-bypass.json");

  await convert(place, at("folder"), { format: "checkpoint", bypass: { blocks: [1] } });
  const weights = await readFile(at("folder/model.safetensors"), "latin1");
  const write = (from: string, to: string) =>
    writeFile(at("folder/model.safetensors"), weights.replace(from, to), "latin1");
  await write('\\"blocks\\":[1]', '\\"blocks\\":[-]');
  await refuses(t, "metadata", load("folder"), "WEIGHTS_INVALID", "attention-bypass.json");
  await write('{"format":"pt","attention-bypass.json"', '{"format":"pt","attention-bypast.json"');
  await using model = await loadModel(at("folder"), here);
  t.same(model.notices, [], "metadata of another program");
});

t.test("on the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const program = [process.execPath, path.join(root, "dist", "cli.js"), "convert"];
  const place = embeddedModel("gpt-neox");
  const q4 = [...program, place, at("q4"), "--format", "checkpoint", "--bypass", "q4", "--dtype", "float32"];
  const { code, stdout, stderr } = await runCommand([...q4, "--json"]);
  t.equal(code, 0, stderr);
  const { path: written, bytes } = JSON.parse(stdout);
  t.equal(written, at("q4"));
  const rows = [randomTokens(8, 2048)];
  close(t, await logitsOf(at("q4"), rows), await logitsOf(place, rows, { blocks: { quartile: 4 } }), 2e-4, "q4");
  const sizes = await Promise.all((await readdir(at("q4"))).map(async (name) => (await stat(at(`q4/${name}`))).size));
  t.equal(
    bytes,
    sizes.reduce((sum, size) => sum + size, 0),
  );

  const samples = at("samples.jsonl");
  await writeFile(samples, `${JSON.stringify({ prefix: [1, 2, 3], suffix: [4, 5] })}\n`);
  const mean = ["--bypass", "2", "--part", "both", "--mode", "mean", "--mean-samples", samples];
  const outcome = await runCommand([...program, place, at("mean.pt"), ...mean, "--dtype", "float32"]);
  t.equal(outcome.code, 0, outcome.stderr);
  await using model = await loadModel(place, { ...here, dtype: "float32" });
  const { means } = await model.attention([[1, 2, 3, 4, 5]]);
  const expected = await model.logits(rows, { bypass: { blocks: [2], part: "both", mode: "mean", means } });
  close(t, await logitsOf(at("mean.pt"), rows), expected.data, 2e-4, "mean");
  const again = await runCommand(q4);
  t.equal(again.code, 4, again.stderr);
  t.match(again.stderr, /not empty; name a new folder \[WRITE_FAILED\]/);
});
