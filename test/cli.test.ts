// The command line as a process: what it prints where. Values are those of Hugging Face.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { Variant } from "attention-bypass";
import t from "tap";
import { root } from "./support/child.ts";
import {
  attentionBypass,
  base,
  close,
  expected,
  expectedCase,
  finish,
  generate,
  gptNeo,
  greedy,
  model,
  neoxTokenizer,
  outcome,
  perplexity,
  prompt,
  pythia,
  row,
  start,
  succeed,
  succeedJson,
  tokenizers,
  wikitext,
  withStudy,
} from "./support/command-line.ts";
import { temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(600_000);

const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

t.test("help and version", async (t) => {
  const help = await succeed(t, "--help");
  for (const verb of [
    "generate",
    "perplexity",
    "memorization",
    "sweep",
    "recommend",
    "convert",
    "download",
    "setup",
    "doctor",
  ]) {
    t.match(help, new RegExp(`^ {2}${verb} `, "m"));
    const ofVerb = await succeed(t, verb, "--help");
    t.match(ofVerb, `Usage: attention-bypass ${verb} `);
    t.match(ofVerb, `$ attention-bypass ${verb}`, "an example");
    t.match(ofVerb, "--json");
    if (verb === "generate") t.equal(await succeed(t, "help", verb), ofVerb);
    if (verb === "memorization") for (const metric of ["exactMatch", "completionEntropy"]) t.match(ofVerb, metric);
  }
  for (const code of [0, 1, 2, 3, 4, 130]) t.match(help, new RegExp(`^ {2}${code} +\\w`, "m"));
  t.equal(await succeed(t, "--version"), `${version}\n`);
});

t.test("a log begins with the device, and --json keeps stderr for failures", async (t) => {
  const { log, exitCode } = await attentionBypass(...perplexity);
  t.match({ log, exitCode }, { log: /^attention-bypass: \S+neox-serial in float32 on cpu, \S.*\n$/, exitCode: 0 });
  t.equal((await attentionBypass(...perplexity, "--json")).log, "");
});

t.test("generate", async (t) => {
  t.equal(await succeed(t, ...generate), `${greedy("base").join(" ")}\n`, "ids as text");
  const generation = await succeedJson<Record<string, unknown>>(t, ...generate);
  t.match(generation, { text: null, tokens: greedy("base"), finishReason: "length", seed: null });
  t.equal((generation.logProbabilities as number[]).length, greedy("base").length);
});

t.test("blocks in all their spellings", async (t) => {
  for (const [blocks, mode, tag] of [
    ["0", undefined, "zero-0"],
    ["1,2", "zero", "zero-1_2"],
    ["1-2", undefined, "zero-1_2"],
    ["1-", undefined, "zero-1_2"],
    ["2,1-1", undefined, "zero-1_2"],
    ["q4", undefined, "zero-2"],
    ["0", "short-circuit", "short-circuit-0"],
    ["1-", "short-circuit", "short-circuit-1_2"],
  ] as const) {
    const options = ["--bypass", blocks, ...(mode === undefined ? [] : ["--mode", mode])];
    const { tokens } = await succeedJson<{ tokens: number[] }>(t, ...generate, ...options);
    t.same(tokens, greedy(tag), options.join(" "));
  }
});

t.test("drawn tokens come again with their seed, which is told", async (t) => {
  const draw = [...generate, "--temperature", "1.5", "--top-k", "50", "--top-p", "0.99"];
  const { output, errors } = await attentionBypass(...draw);
  const seed = /^attention-bypass: --seed (\d+)\n$/.exec(errors)?.[1] as string;
  t.equal(await succeed(t, ...draw, "--seed", seed), output);
  const generation = await succeedJson<{ tokens: number[]; seed: number }>(t, ...draw, "--seed", seed);
  t.equal(`${generation.tokens.join(" ")}\n`, output);
  t.equal(generation.seed, Number(seed));
});

t.test("perplexity", async (t) => {
  const human = /^perplexity +(\S+)\nnegativeLogLikelihood +(\S+)\ntokenCount +(\d+)\n$/.exec(
    await succeed(t, ...perplexity),
  );
  t.ok(close(Number(human?.[1]), base.perplexity[0] as number));
  t.ok(close(Number(human?.[2]), Math.log(base.perplexity[0] as number)));
  t.equal(Number(human?.[3]), row.length - 1);
  const bypassed = await succeedJson<{ perplexity: number }>(
    t,
    ...perplexity,
    "--bypass",
    "1,2",
    "--mode",
    "short-circuit",
  );
  t.ok(close(bypassed.perplexity, expectedCase("short-circuit-1_2").perplexity[0] as number));
  const limited = await succeedJson<{ tokenCount: number }>(
    t,
    ...perplexity,
    "--limit-tokens",
    "7",
    "--beginning-token",
    "0",
  );
  t.equal(limited.tokenCount, 7);
  const windowed = await succeedJson<{ tokenCount: number }>(
    t,
    ...perplexity,
    "--context-length",
    "4",
    "--stride",
    "2",
  );
  t.equal(windowed.tokenCount, row.length - 1);
});

t.test("memorization of what Hugging Face generates greedily", async (t) => {
  const samples = path.join(await temporaryFolder(t), "samples.jsonl");
  const lines = base.greedy.map((suffix, index) =>
    JSON.stringify({ prefix: expected.input_ids[index]?.slice(0, base.greedy_prompt_length), suffix }),
  );
  await writeFile(samples, lines.join("\n"));
  const memorization = ["memorization", model, "--device", "cpu", "--samples", samples];

  const human = await succeed(t, ...memorization);
  t.match(human, /^metric +mean of 2 rows\nexactMatch +1\ntokenAccuracy +1\nteacherForcedAccuracy +1\n/);
  const lengths = human
    .trimEnd()
    .split("\n")
    .map((line) => line.length);
  t.equal(new Set(lengths).size, 1, "columns are aligned");
  const chosen = ["--metrics", "exactMatch,extractableLength"];
  t.match(
    await succeed(t, ...memorization, ...chosen, "--per-row"),
    /\n\nrow +exactMatch +extractableLength\n0 +1 +7\n1 +1 +7\n$/,
  );

  const values = { exactMatch: 1, extractableLength: greedy("base").length };
  t.same(await succeedJson(t, ...memorization, ...chosen, "--rows", "1"), { ...values, rows: 1 });
  t.same(await succeedJson(t, ...memorization, ...chosen, "--per-row"), {
    ...values,
    rows: 2,
    perRow: [values, values],
  });
  t.match(await succeedJson(t, ...memorization, "--bypass", "0"), { exactMatch: 0 });
});

t.test("sweep", async (t) => {
  const folder = await temporaryFolder(t);
  const samples = path.join(folder, "samples.jsonl");
  const task = path.join(folder, "guess.jsonl");
  const lines = base.greedy.map((suffix, index) =>
    JSON.stringify({ prefix: expected.input_ids[index]?.slice(0, base.greedy_prompt_length), suffix }),
  );
  await writeFile(samples, lines.join("\n"));
  await writeFile(task, JSON.stringify({ query: prompt, choices: [greedy("base"), [1, 2, 3]], gold: 0 }));
  const sweep = ["sweep", model, "--device", "cpu", "--samples", samples];
  const chosen = ["--metrics", "exactMatch,extractableLength", "--task", task];
  const csv = await succeed(t, ...sweep, ...chosen, "--bypass", "0", "--bypass", "1,2", "--csv");
  const [head, ofBase, ...others] = csv.trimEnd().split("\n");
  t.equal(head, "name,part,blocks,mode,exactMatch,extractableLength,guess");
  t.equal(ofBase, "base,,,,1,7,1", "what Hugging Face generates");
  t.match(others[0], /^block 0,attention,0,zero,0,/);
  t.match(others[1], /^"blocks 1, 2",attention,1 2,zero,0,/);
  const human = await succeed(t, ...sweep, ...chosen, "--over", "quartiles", "--mode", "zero,short-circuit");
  t.match(human, /^name +blocks +mode +exactMatch +extractableLength +guess\nbase +1 +7 +1\n/);
  t.match(human, /^quartile 4 +2 +short-circuit /m);
  const named = path.join(folder, "table.csv");
  await succeed(t, ...sweep, ...chosen, "--bypass", "0", "--bypass", "1,2", "--output", named);
  t.equal(readFileSync(named, "utf8"), csv);

  const resume = path.join(folder, "sweep.part");
  const output = path.join(folder, "sweep.json");
  const whole = ["--dtype", "bfloat16", "--memory", "64", "--resume", resume];
  t.equal(await succeed(t, ...sweep, ...whole, "--output", output), "", "JSON by its name");
  const written = JSON.parse(readFileSync(output, "utf8"));
  t.match(written, {
    base: { memorization: { exactMatch: 1, rows: 2 } },
    settings: { over: "blocks", mode: "zero", dtype: "bfloat16", versions: { "attention-bypass": version } },
    precision: { reference: "float32", rows: 1 },
    cost: { memory: 64 * 2 ** 20 },
  });
  const weights = createHash("sha256")
    .update(readFileSync(path.join(model, "model.safetensors")))
    .digest("hex");
  t.same(written.settings.model.files, [{ name: "model.safetensors", sha256: weights }]);
  const again = await succeedJson<typeof written>(t, ...sweep, ...whole);
  t.same([again.base, again.variants, again.settings], [written.base, written.variants, written.settings]);
});

t.test("benchmark, a sweep with tasks, and what it recommends", async (t) => {
  const folder = await temporaryFolder(t);
  const rows = expected.input_ids.map((tokens) => ({
    query: tokens.slice(0, 5),
    choices: [tokens.slice(5, 8), [1]],
    gold: 0,
  }));
  const file = path.join(folder, "own.jsonl");
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const human = await succeed(t, "benchmark", model, "--device", "cpu", "--task", `mine=${file}`);
  t.match(human, /^task +metric +value +standard error\nmine +accuracy +\S+ +± \S+\n$/);
  const benchmark = ["benchmark", model, "--device", "cpu", "--task", file, "--heads", "0.1,0.3,2.0"];
  const { own } = await succeedJson<Record<string, { accuracy: number; questions: number; perQuestion?: unknown[] }>>(
    t,
    ...benchmark,
  );
  t.match(own, { questions: 2 });
  t.equal(own?.perQuestion, undefined);
  const answered = await succeedJson<typeof own & Record<string, { perQuestion: unknown[] }>>(
    t,
    ...benchmark,
    "--per-question",
  );
  t.equal(answered.own?.perQuestion.length, 2);

  const samples = path.join(folder, "samples.jsonl");
  const suffixes = base.greedy.map((suffix, index) => ({
    prefix: expected.input_ids[index]?.slice(0, base.greedy_prompt_length),
    suffix,
  }));
  await writeFile(samples, suffixes.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const output = path.join(folder, "sweep.json");
  const sweep = ["sweep", model, "--device", "cpu", "--samples", samples, "--task", file, "--output", output, "--json"];
  await succeed(t, ...sweep, "--over", "heads", "--mode", "mean", "--mean-samples", samples);
  const recommended = await succeedJson<{ front: { heads: object; mode: string }[]; tolerance: number }>(
    t,
    ...["recommend", output, "--tolerance", "100"],
  );
  t.equal(recommended.tolerance, 100);
  t.ok(recommended.front.length > 0);
  t.ok(recommended.front.every(({ heads, mode }) => Object.keys(heads).length === 1 && mode === "mean"));
  const told = await succeed(t, "recommend", output, "--tolerance", "100");
  t.match(told, /^bypass +mode +exact match, % +accuracy, % +points lost\nnone +100\.0 \[100\.0, 100\.0\]/);
  t.match(told, /\n\n2 samples cannot show what the model has memorized; measure at least 10\./);
});

t.test("a sweep and its report", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const samples = base.greedy.map((suffix, index) => ({
    prefix: expected.input_ids[index]?.slice(0, base.greedy_prompt_length),
    suffix,
  }));
  await writeFile(at("samples.jsonl"), samples.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const control = samples.map(({ prefix, suffix }) => ({ prefix, suffix: suffix.toReversed() }));
  await writeFile(at("control.jsonl"), control.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const rows = ["--samples", at("samples.jsonl"), "--control", at("control.jsonl")];
  const sweep = ["sweep", model, "--device", "cpu", ...rows];
  const sets = ["--over", "blocks,quartiles,random:2:2:7", "--bypass", "0,2", "--heads", "1.0"];
  await succeed(t, ...sweep, ...sets, "--output", at("sweep.json"), "--json", "--report", at("report.html"));
  const { variants, attention, settings } = JSON.parse(readFileSync(at("sweep.json"), "utf8"));
  const randomNames = variants
    .filter(({ kind }: Variant) => kind === "random")
    .map(({ name }: Variant) => name)
    .filter((name: string) => /^random blocks \d, \d$/.test(name));
  t.same(
    variants.map(({ name }: { name: string }) => name),
    [
      ...["block 0", "block 1", "block 2"],
      ...["quartile 1", "quartile 2", "quartile 3", "quartile 4"],
      ...randomNames,
      ...["blocks 0, 2", "block 1 head 0"],
    ],
  );
  t.equal(randomNames.length, 2);
  t.match(settings, {
    control: { rows: samples.length },
    over: ["blocks", "quartiles", { random: { size: 2, count: 2, seed: 7 } }],
  });
  t.same([attention.length, settings.survey], [3, { rows: 2, tokens: samples.length * expected.input_ids[0]!.length }]);
  t.match(readFileSync(at("report.html"), "utf8"), /How bypasses change memorization and ability in neox-serial/);

  const printed = await succeed(t, "report", at("sweep.json"));
  t.match(printed, /^# How bypasses change memorization and ability in sweep\n/);
  t.match(printed, /\n\| none \| {2}\| 100 % \[100, 100\] \|/);
  t.equal(await succeed(t, "report", at("sweep.json"), "--output", at("a.svg"), "--figure", "distance"), "");
  t.match(readFileSync(at("a.svg"), "utf8"), />proven bound</);
  await succeed(t, ...sweep, "--bypass", "2", "--survey", "0", "--output", at("other.json"), "--json");
  const both = await succeed(t, "report", "--compare", at("other.json"), at("sweep.json"), "--name", "mine");
  t.match(both, /^# Comparison of mine and other\n[\s\S]*\n\| block 2 \| zero \|[^\n]*0 % \[0, 0\] \|\n/);

  const undrawn = [
    "--bypass",
    "0,1",
    "--survey",
    "0",
    "--report",
    at("none.svg"),
    "--output",
    at("kept.json"),
    "--json",
  ];
  t.match(await attentionBypass(...sweep, ...undrawn), { exitCode: 2, errors: /with figures/ });
  t.equal(JSON.parse(readFileSync(at("kept.json"), "utf8")).variants.length, 1, "what was computed is not lost");

  const fails = async (exitCode: number, code: string, ...args: string[]) => {
    const { errors, ...result } = await attentionBypass("report", ...args);
    t.match(result, { exitCode, output: "" }, args.join(" "));
    t.match(errors, new RegExp(`^attention-bypass: \\S.* \\[${code}\\]\\n$`));
  };
  await fails(2, "INVALID_ARGUMENT");
  await fails(2, "INVALID_ARGUMENT", at("sweep.json"), "--output", at("a.gif"));
  await fails(2, "INVALID_ARGUMENT", at("sweep.json"), "--output", at("a.svg"), "--figure", "best");
  await fails(3, "FILE_NOT_FOUND", at("nowhere.json"));
  await fails(3, "SWEEP_INVALID", at("samples.jsonl"));
  await fails(3, "SWEEP_INVALID", path.join(root, "package.json"));
  await fails(4, "WRITE_FAILED", at("sweep.json"), "--output", at("nowhere/a.md"));
});

t.test("convert", async (t) => {
  const archive = path.join(await temporaryFolder(t), "model.pt");
  t.match(await succeed(t, "convert", model, archive), `${archive}: 0.1 MiB\n`);
  const { path: written, bytes } = await succeedJson<{ path: string; bytes: number }>(t, "convert", model, archive);
  t.equal(written, archive);
  t.equal(bytes, readFileSync(archive).length);
  t.equal(
    await succeed(t, ...generate.map((word) => (word === model ? archive : word))),
    `${greedy("base").join(" ")}\n`,
  );
});

t.test("doctor", async (t) => {
  const human = await succeed(t, "doctor");
  t.match(human, new RegExp(`^attention-bypass: +${version.replaceAll(".", "\\.")}$`, "m"));
  t.match(human, /^searched: .*: used$/m);
  t.match(human, /^CPU capability: +\w+$/m);
  t.match(human, /^result: +models can be loaded$/m);
  t.match(await succeedJson(t, "doctor"), { package: version, node: process.version, failure: null });

  const empty = await temporaryFolder(t);
  for (const json of [false, true]) {
    const child = start(json ? ["doctor", "--json"] : ["doctor"], { ATTENTION_BYPASS_LIBTORCH: empty });
    const { exitCode, output } = await finish(child);
    t.equal(exitCode, 4);
    if (json) t.match(JSON.parse(output), { attempts: [{ origin: "environment", path: empty }], libtorch: null });
    else t.match(output, `${empty} (environment): it contains no libtorch_cpu.so\n`);
  }
});
/** The first row that the Pythia study model was taught: 40 tokens and the 40 after them. */
function taughtRow(): number[] {
  const bytes = readFileSync(path.join(pythia, "memorized.npy"));
  const begin = 10 + bytes.readUInt16LE(8);
  return Array.from({ length: 80 }, (_, index) => bytes.readUInt16LE(begin + 2 * index));
}

t.test("text, with a tokenizer", withStudy, async (t) => {
  const reference = new Tokenizer(JSON.parse(readFileSync(neoxTokenizer, "utf8")), {});
  const decode = (tokens: number[]) => reference.decode(tokens, { clean_up_tokenization_spaces: false });
  const taught = taughtRow();
  const suffix = decode(taught.slice(40));
  const common = ["generate", pythia, "--device", "cpu", "--tokenizer", neoxTokenizer, "--max-new-tokens", "40"];
  const byTokens = [...common, "--tokens", taught.slice(0, 40).join(",")];
  t.equal(await succeed(t, ...byTokens), `${suffix}\n`, "streamed");
  t.match(await succeedJson(t, ...byTokens), { text: suffix, tokens: taught.slice(40) });

  const text = decode(taught.slice(0, 40));
  const byText = await succeed(t, ...common, "--", text);
  const child = start([...common, "-"]);
  child.stdin.end(`${text}\n`);
  t.same(await outcome(child), { exitCode: 0, output: byText, errors: "" }, "standard input is the prompt's text");

  const word = suffix.slice(10, 14);
  const stopped = `${suffix.slice(0, suffix.indexOf(word))}\n`;
  t.equal(await succeed(t, ...byTokens, "--stop", "never to come", "--stop", word), stopped);
});

t.test("perplexity of a file and of standard input", withStudy, async (t) => {
  const common = [
    "--device",
    "cpu",
    "--tokenizer",
    path.join(tokenizers as string, "gpt2"),
    "--limit-tokens",
    "200",
    "--json",
  ];
  const ofFile = await succeed(t, "perplexity", gptNeo, wikitext as string, ...common);
  t.equal(JSON.parse(ofFile).tokenCount, 199);
  const child = start(["perplexity", gptNeo, "-", ...common]);
  child.stdin.end(readFileSync(wikitext as string));
  t.same(await outcome(child), { exitCode: 0, output: ofFile, errors: "" });
});

t.test("memorization of an .npy file", withStudy, async (t) => {
  const reference = JSON.parse(readFileSync(path.join(gptNeo, "sweep.zero.json"), "utf8"));
  const result = await succeedJson<{ exactMatch: number; completionEntropy: number; rows: number }>(
    t,
    ...["memorization", gptNeo, "--samples", path.join(gptNeo, "memorized.npy"), "--prefix-length", "50"],
    ...[
      "--rows",
      String(reference.rows),
      "--bypass",
      "7",
      "--metrics",
      "exactMatch,completionEntropy",
      "--device",
      "cpu",
    ],
  );
  t.same(Object.keys(result), ["exactMatch", "completionEntropy", "rows"]);
  t.equal(result.rows, reference.rows);
  t.equal(result.exactMatch, reference.blocks["7"].exact_match);
  t.ok(close(result.completionEntropy, reference.blocks["7"].completion_entropy));
});
