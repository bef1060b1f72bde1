// What a call can't take as an option, a path or a bypass is refused with a code and a line that names the argument and what came.
import { readdir } from "node:fs/promises";
import path from "node:path";
import { convert, diagnose, type ErrorCode, loadModel, samplesToExtract } from "attention-bypass";
import t from "tap";
import { runScript } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { type Anything, all, refusedBy, shown } from "./support/refusals.ts";

t.setTimeout(300_000);

const place = fixture("neox-serial");
const model = await loadModel(place, { device: "cpu" });
t.after(() => model.dispose());
const refused = await refusedBy(model);
const hasCuda = ((await diagnose()).runtime?.cudaDevices ?? 0) > 0;

/** Each call, with good arguments before its options. */
const calls: Record<string, (options: Anything) => Promise<unknown>> = {
  logits: (options) => model.logits([1, 2], options),
  logProbabilities: (options) => model.logProbabilities([1, 2], options),
  generate: (options) => model.generate([1, 2], options),
  stream: async (options) => all(model.stream([1, 2], options)),
  perplexity: (options) => model.perplexity([1, 2, 3], options),
  scoreMemorization: (options) => model.scoreMemorization([[1, 2, 3]], options),
  scan: (options) => model.scan([1, 2, 3], options),
  sweep: (options) => model.sweep(options),
  effects: (options) => model.effects([[1, 2, 3]], options),
  benchmark: (options) =>
    model.benchmark({ name: "own", questions: [{ query: [1], choices: [[1], [2]], gold: 0 }] }, options),
  attention: (options) => model.attention([[1, 2]], options),
  divergence: (options) => model.divergence([1, 2], options),
};
const folder = await temporaryFolder(t);
const loads: Record<string, (options: Anything) => Promise<unknown>> = {
  loadModel: (options) => loadModel(place, options),
  convert: (options) => convert(place, path.join(folder, "model.pt"), options),
};

const notNumbers = ["2", null, true, {}, [1]];
const notCounts = [...notNumbers, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY];
const notRanks = [...notNumbers, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY];
const notStrings = [5, null, true, {}, ["x"]];
const dtypes = ["float64", "", 32, null, ["float32"]];
const longCall = { signal: ["x", null, {}, new AbortController()], onProgress: ["x", null, {}, 1] };
const bypass = {
  bypass: [null, 5, "blocks", [1], {}, { blocks: null }, { blocks: "1" }, { blocks: 1 }, { blocks: {} }],
};
const generation = {
  ...longCall,
  ...bypass,
  maxNewTokens: notCounts,
  temperature: [...notNumbers, -1, Number.NaN, Number.POSITIVE_INFINITY],
  topK: notCounts,
  topP: [...notNumbers, 0, -0.1, 1.1, Number.NaN],
  seed: ["2", null, true, {}, -1, 1.5, Number.NaN, 2 ** 53, ["1"], [-1]],
  stop: [null, true, {}, "", -1, 1.5, [""], [null], [-1]],
  stopAtEndOfText: ["yes", null, 1],
};
const swept = {
  over: [
    "block",
    null,
    5,
    {},
    [],
    { window: 0 },
    { window: 1.5 },
    [5],
    [{}],
    [{ blocks: 1 }],
    [{ blocks: [0], mode: "no" }],
    ["layers"],
    ["blocks", { window: 0 }],
    { random: 2 },
    { random: { size: 1 } },
    { random: { size: 0, count: 1 } },
    { random: { size: 1, count: 0 } },
    { random: { size: 1, count: 1001 } },
    { random: { size: 1, count: 1, seed: -1 } },
    [{ random: { size: 1, count: 1.5 } }],
    [["blocks"]],
    [null],
  ],
  mode: ["none", null, 1, {}, [], "both", ["both"]],
  means: ["x", null, 1, {}, { blocks: 1 }],
};
const options: Record<string, Record<string, unknown[]>> = {
  loadModel: {
    ...longCall,
    device: ["tpu", "", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:1e0", "cuda:0 ", 0, null, {}],
    dtype: dtypes,
    threads: notCounts,
    offload: ["yes", null, 1],
    tokenizer: notStrings,
  },
  convert: {
    ...longCall,
    ...bypass,
    dtype: dtypes,
    tokenizer: notStrings,
    format: [null, "gguf", 1, ["checkpoint"]],
    shardSize: notCounts,
  },
  logits: { ...longCall, ...bypass },
  logProbabilities: { ...longCall, ...bypass, topLogProbabilities: notRanks },
  generate: generation,
  stream: generation,
  perplexity: {
    ...longCall,
    ...bypass,
    contextLength: [...notCounts, 1],
    stride: notCounts,
    beginningToken: notNumbers,
    memory: notCounts,
  },
  scoreMemorization: {
    ...longCall,
    ...bypass,
    prefixLength: [undefined, ...notCounts],
    rows: notCounts,
    metrics: ["exactMatch", null, {}, [], ["perplexity"], [5], [null]],
    memory: notCounts,
    temperature: [...notNumbers, 0, -1, Number.NaN, Number.POSITIVE_INFINITY],
    topK: notCounts,
    epsilon: [...notNumbers, -0.1, 1.1, Number.NaN],
    continuations: [...notCounts, 1_000_001],
    seed: notRanks,
  },
  effects: {
    ...longCall,
    ...bypass,
    ...swept,
    part: ["none", null, 1, {}, [], ["heads"]],
    prefixLength: [undefined, ...notCounts],
    rows: notCounts,
    memory: notCounts,
  },
  scan: {
    ...longCall,
    prefixLength: notCounts,
    suffixLength: notCounts,
    stride: [...notCounts, { characters: 0 }, { characters: 1, tokens: 1 }],
    bypasses: ["x", null, {}, [5], [null], [{ blocks: 1 }]],
    temperature: [...notNumbers, 0, -1, Number.NaN],
    topK: notCounts,
    threshold: [...notNumbers, 0, -1, 1.1, Number.NaN],
    memory: notCounts,
    resume: [...notStrings, ""],
  },
  benchmark: { ...longCall, ...bypass, data: [...notStrings, ""], rows: notCounts },
  attention: { ...longCall, prefixLength: notCounts, rows: notCounts },
  divergence: { ...longCall, bypass: [undefined, ...bypass.bypass] },
  sweep: {
    ...longCall,
    ...swept,
    prefixLength: notCounts,
    rows: notCounts,
    control: [null, 5, {}, [], [5], ["x"], [[1, 2, 3]]],
    metrics: ["exactMatch", null, {}, [], ["perplexity"]],
    temperature: [...notNumbers, 0, -1],
    topK: notCounts,
    epsilon: [...notNumbers, -0.1, 1.1, Number.NaN],
    continuations: [...notCounts, 1_000_001],
    seed: notRanks,
    contextLength: [...notCounts, 1],
    stride: notCounts,
    tasks: ["x", null, {}, [], [5], [{ name: "", questions: [] }], [{ name: "x", questions: 5 }], [{ questions: [] }]],
    memory: notCounts,
    survey: [...notNumbers, -1, 1.5, Number.NaN],
    compareRows: [...notNumbers, -1, 1.5, Number.NaN],
    resume: [...notStrings, ""],
  },
};

for (const [name, call] of Object.entries({ ...loads, ...calls })) {
  t.test(`options of ${name}`, async (t) => {
    const samples = name === "sweep" ? { samples: [[1, 2, 3]] } : {};
    const needed =
      name === "scoreMemorization" || name === "sweep" || name === "effects"
        ? { prefixLength: 1, ...samples }
        : name === "divergence"
          ? { bypass: { blocks: [0] } }
          : {};
    for (const [option, values] of Object.entries(options[name] ?? {})) {
      for (const value of values) {
        const title = `${option} ${shown(value) || JSON.stringify(value)}`;
        await refused(t, title, () => call({ ...needed, [option]: value }), "INVALID_ARGUMENT", option, shown(value));
      }
    }
    await refused(t, "unknown", () => call({ ...needed, tempreature: 1 }), "INVALID_ARGUMENT", "options.tempreature");
    for (const value of [null, 5, "x"]) {
      await refused(t, `all of ${value}`, () => call(value), "INVALID_ARGUMENT", "options", shown(value));
    }
  });
}

t.test("what a sweep can't measure", async (t) => {
  const sweep = (options: Anything) => () => model.sweep({ prefixLength: 1, ...options });
  const samples = [[1, 2, 3]];
  const question = { query: [1], choices: [[2], [3]], gold: 0 };
  const task = (changed: object) => ({ tasks: [{ name: "guess", questions: [{ ...question, ...changed }] }] });
  const wrong: [name: string, options: Anything, code: ErrorCode, ...said: string[]][] = [
    ["nothing", {}, "INVALID_ARGUMENT", "samples, text or tasks"],
    ["no rows", { samples: [] }, "INVALID_ARGUMENT", "samples"],
    ["no prefix", { samples, prefixLength: undefined }, "INVALID_ARGUMENT", "prefixLength"],
    ["no suffix", { samples, prefixLength: 3 }, "PREFIX_TOO_LONG", "samples[0]"],
    ["text without a tokenizer", { text: "text" }, "TOKENIZER_MISSING", "text"],
    ["a short text", { text: [1] }, "INVALID_ARGUMENT", "text"],
    ["a wide window of text", { text: [1, 2, 3], contextLength: 49 }, "INVALID_ARGUMENT", "contextLength"],
    ["a block beyond the last", { samples, over: [{ blocks: [3] }] }, "BLOCK_OUT_OF_RANGE", "3"],
    ["a block twice", { samples, over: [{ blocks: [1, 1] }] }, "BLOCK_DUPLICATE", "1"],
    ["a window beyond the stack", { samples, over: { window: 4 } }, "INVALID_ARGUMENT", "window", "at most 3"],
    ["many random blocks", { samples, over: { random: { size: 4, count: 1 } } }, "INVALID_ARGUMENT", "at most 3"],
    [
      "many random sets",
      { samples, over: { random: { size: 2, count: 4 } } },
      "INVALID_ARGUMENT",
      "count",
      "at most 3",
    ],
    ["a control without samples", { text: [1, 2], control: samples }, "INVALID_ARGUMENT", "options.samples", "control"],
    ["no control rows", { samples, control: [] }, "INVALID_ARGUMENT", "control"],
    [
      "a control row of the samples",
      {
        samples,
        control: [
          [3, 2, 1],
          [1, 2, 3],
        ],
      },
      "INVALID_ARGUMENT",
      "row 1",
      "row 0",
    ],
    ["a short control row", { samples, control: [[1]] }, "PREFIX_TOO_LONG", "control[0]"],
    ["a missing control", { samples, control: "missing.jsonl" }, "FILE_NOT_FOUND", "missing.jsonl"],
    ["a long row", { samples: [Array.from({ length: 49 }, () => 1)] }, "CONTEXT_TOO_LONG", "row 0"],
    ["one choice", task({ choices: [[2]] }), "INVALID_ARGUMENT", "question 0 of the task guess"],
    ["no right choice", task({ gold: 2 }), "INVALID_ARGUMENT", "question 0 of the task guess"],
    ["an empty query", task({ query: [] }), "INVALID_ARGUMENT", "question 0 of the task guess"],
    ["an empty choice", task({ choices: [[2], []] }), "INVALID_ARGUMENT", "question 0 of the task guess"],
    ["a token that is none", task({ query: [67] }), "TOKEN_OUT_OF_RANGE", "67"],
    ["words without a tokenizer", task({ query: "why" }), "TOKENIZER_MISSING", "question 0"],
    ["no questions", { tasks: [{ name: "guess", questions: [] }] }, "INVALID_ARGUMENT", "guess"],
    ["tasks of one name", { tasks: [...task({}).tasks, ...task({}).tasks] }, "INVALID_ARGUMENT", "guess"],
    ["no file", { tasks: [{ name: "guess", questions: "missing.jsonl" }] }, "FILE_NOT_FOUND", "missing.jsonl"],
    [
      "a file of another kind",
      { tasks: [{ name: "guess", questions: `${place}/config.json` }] },
      "TASK_INVALID",
      "line 1",
    ],
  ];
  for (const [name, options, code, ...said] of wrong) await refused(t, name, sweep(options), code, ...said);
});

t.test("places that are no paths", async (t) => {
  for (const value of [undefined, null, 5, "", {}, [place], new URL("file:///")]) {
    const from = value as Anything;
    await refused(t, "loadModel", () => loadModel(from), "INVALID_ARGUMENT", "path", shown(value));
    await refused(
      t,
      "convert from",
      () => convert(from, path.join(folder, "x.pt")),
      "INVALID_ARGUMENT",
      "from",
      shown(value),
    );
    await refused(t, "convert to", () => convert(place, from), "INVALID_ARGUMENT", "to", shown(value));
  }
  t.same(await readdir(folder), [], "convert has written nothing");
});

t.test("blocks", async (t) => {
  const cases: [blocks: unknown, code: ErrorCode, ...said: string[]][] = [
    [[3], "BLOCK_OUT_OF_RANGE", "from 0 to 2", "bypass.blocks", "received 3"],
    [[0, 7], "BLOCK_OUT_OF_RANGE", "received 7"],
    [[-1], "BLOCK_OUT_OF_RANGE", "received -1"],
    [[0.5], "BLOCK_OUT_OF_RANGE", "received 0.5"],
    [[1, 1], "BLOCK_DUPLICATE", "bypass.blocks", "received 1 twice"],
    [[0, 2, 1, 0], "BLOCK_DUPLICATE", "received 0 twice"],
    [[Number.NaN], "INVALID_ARGUMENT", "bypass.blocks"],
    [["1"], "INVALID_ARGUMENT", "bypass.blocks"],
    [{ quartile: 0 }, "INVALID_ARGUMENT", "bypass.blocks"],
    [{ quartile: 5 }, "INVALID_ARGUMENT", "bypass.blocks"],
    [{ quartile: 1, from: 0 }, "INVALID_ARGUMENT", "bypass"],
    [{ from: 2, to: 1 }, "INVALID_ARGUMENT", "bypass.blocks.to", "received 1"],
    [{ from: 3 }, "BLOCK_OUT_OF_RANGE", "received 3"],
    [{ from: 1, to: 3 }, "BLOCK_OUT_OF_RANGE", "received 3"],
    [{ from: 1, to: 2 ** 50 }, "BLOCK_OUT_OF_RANGE", `received ${2 ** 50}`],
    [{ from: -1 }, "INVALID_ARGUMENT", "bypass.blocks"],
    [{ from: 0, to: 1.5 }, "INVALID_ARGUMENT", "bypass.blocks"],
    [{ to: 1 }, "INVALID_ARGUMENT", "bypass.blocks"],
  ];
  // The bypasses of a sweep and of a scan are in a list, and a survey has none.
  const { sweep: _, scan: __, attention: ___, ...single } = calls;
  for (const [name, call] of Object.entries(single)) {
    const needed = name === "scoreMemorization" ? { prefixLength: 1 } : {};
    for (const [blocks, code, ...said] of cases) {
      const title = `${name} ${JSON.stringify(blocks)}`;
      await refused(t, title, () => call({ ...needed, bypass: { blocks } }), code, ...said);
    }
    const mode = { ...needed, bypass: { blocks: [0], mode: "one" } };
    await refused(t, `${name} mode`, () => call(mode), "INVALID_ARGUMENT", "bypass.mode", '"one"', "short-circuit");
    const unknown = { ...needed, bypass: { blocks: [0], heads: [1] } };
    await refused(t, `${name} unknown`, () => call(unknown), "INVALID_ARGUMENT", "bypass.heads");
    for (const key of ["", " 1 ", "0x1", "1.0", "-0", "x"]) {
      const odd = { ...needed, bypass: { heads: { [key]: [0] } } };
      await refused(t, `${name} heads of ${key}`, () => call(odd), "INVALID_ARGUMENT", "bypass.heads", shown(key));
    }
  }
});

t.test("numbers for samplesToExtract", async (t) => {
  for (const value of [-0.1, 1.1, Number.NaN, "1", null] as Anything[]) {
    await refused(
      t,
      "probability",
      async () => samplesToExtract(value, 0.5),
      "INVALID_ARGUMENT",
      "extractionProbability",
    );
    await refused(t, "p", async () => samplesToExtract(0.5, value), "INVALID_ARGUMENT", "p", shown(value));
  }
});

t.test("CUDA where there is none", { skip: hasCuda && "there is a CUDA device" }, async (t) => {
  for (const device of ["cuda", "cuda:0", "cuda:127", "cuda:200", "cuda:999"] as const) {
    await refused(t, device, () => loadModel(place, { device }), "DEVICE_UNAVAILABLE", device, "CUDA");
  }
});

t.test("more threads than a machine can have do not end the process", async (t) => {
  const source = `
    import { loadModel } from "attention-bypass";
    const threads = Number(process.argv.at(-1));
    try {
      const model = await loadModel(${JSON.stringify(place)}, { device: "cpu", threads });
      await model.logits([1, 2, 3]);
      await model.dispose();
      console.log("loaded");
    } catch (error) {
      console.log(error.code, error.message);
    }
  `;
  for (const threads of [100_000, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1]) {
    const { code, signal, stdout } = await runScript(source, [String(threads)]);
    t.same([code, signal], [0, null], `${threads}: it lives`);
    t.match(stdout, /^INVALID_ARGUMENT .*options\.threads.*received \d+\n$/, `${threads}: it is refused`);
  }
});

t.test("a stream refuses bad arguments when it is called", (t) => {
  const bad: [name: string, code: string, call: () => unknown][] = [
    ["an option", "INVALID_ARGUMENT", () => model.stream([1], { maxNewTokens: 0 })],
    ["a bypass", "BLOCK_OUT_OF_RANGE", () => model.stream([1], { bypass: { blocks: [99] } })],
    ["a token", "TOKEN_OUT_OF_RANGE", () => model.stream([-1])],
    ["no token", "INVALID_ARGUMENT", () => model.stream([])],
    ["text without a tokenizer", "TOKENIZER_MISSING", () => model.stream("text")],
  ];
  for (const [name, code, call] of bad) t.throws(call, { code }, name);
  t.end();
});
