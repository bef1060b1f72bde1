// What a call can't take is refused with a code and a line that names the argument and what came.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  type AttentionBypassError,
  convert,
  diagnose,
  type ErrorCode,
  loadModel,
  type Model,
  samplesToExtract,
} from "attention-bypass";
import t, { type Test } from "tap";
import { runScript } from "./support/child.ts";
import { copyOf, fixture, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";

t.setTimeout(300_000);

const place = fixture("neox-serial");
const model = await loadModel(place, { device: "cpu" });
t.after(() => model.dispose());
const good = await model.logits([1, 2, 3]);
const hasCuda = ((await diagnose()).runtime?.cudaDevices ?? 0) > 0;

/** What a caller without types may pass. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
type Anything = any;

/** Asserts that work is refused, and that the model then works as before. */
async function refused(
  t: Test,
  name: string,
  work: () => Promise<unknown>,
  code: ErrorCode,
  ...said: string[]
): Promise<void> {
  await refuses(t, name, work, code, ...said);
  t.same(await model.logits([1, 2, 3]), good, `${name}: the model works on`);
}

async function all(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** Each call, with good arguments before its options. */
const calls: Record<string, (options: Anything) => Promise<unknown>> = {
  logits: (options) => model.logits([1, 2], options),
  generate: (options) => model.generate([1, 2], options),
  stream: (options) => all(model.stream([1, 2], options)),
  perplexity: (options) => model.perplexity([1, 2, 3], options),
  scoreMemorization: (options) => model.scoreMemorization([[1, 2, 3]], options),
};
const folder = await temporaryFolder(t);
const loads: Record<string, (options: Anything) => Promise<unknown>> = {
  loadModel: (options) => loadModel(place, options),
  convert: (options) => convert(place, path.join(folder, "model.pt"), options),
};

/** As a message shows a value, where that is plain. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "" : typeof value === "function" ? "a function" : String(value);
}

const notNumbers = ["2", null, true, {}, [1]];
const notCounts = [...notNumbers, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY];
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
const options: Record<string, Record<string, unknown[]>> = {
  loadModel: {
    ...longCall,
    device: ["tpu", "", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:0 ", 0, null, {}],
    dtype: dtypes,
    threads: notCounts,
    tokenizer: notStrings,
  },
  convert: { ...longCall, dtype: dtypes, tokenizer: notStrings },
  logits: { ...longCall, ...bypass },
  generate: generation,
  stream: generation,
  perplexity: {
    ...longCall,
    ...bypass,
    contextLength: [...notCounts, 1],
    stride: notCounts,
    beginningToken: notNumbers,
    batchSize: notCounts,
  },
  scoreMemorization: {
    ...longCall,
    ...bypass,
    prefixLength: [undefined, ...notCounts],
    rows: notCounts,
    metrics: ["exactMatch", null, {}, ["perplexity"], [5], [null]],
    batchSize: notCounts,
    temperature: [...notNumbers, 0, -1, Number.NaN, Number.POSITIVE_INFINITY],
    topK: notCounts,
  },
};

for (const [name, call] of Object.entries({ ...loads, ...calls })) {
  t.test(`options of ${name}`, async (t) => {
    const needed = name === "scoreMemorization" ? { prefixLength: 1 } : {};
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
  for (const [name, call] of Object.entries(calls)) {
    const needed = name === "scoreMemorization" ? { prefixLength: 1 } : {};
    for (const [blocks, code, ...said] of cases) {
      const title = `${name} ${JSON.stringify(blocks)}`;
      await refused(t, title, () => call({ ...needed, bypass: { blocks } }), code, ...said);
    }
    const mode = { ...needed, bypass: { blocks: [0], mode: "one" } };
    await refused(t, `${name} mode`, () => call(mode), "INVALID_ARGUMENT", "bypass.mode", '"one"', "short-circuit");
    const unknown = { ...needed, bypass: { blocks: [0], heads: [1] } };
    await refused(t, `${name} unknown`, () => call(unknown), "INVALID_ARGUMENT", "bypass.heads");
  }
});

/** Each call with tokens, and what its messages call them. */
const takers: Record<string, { name: string; call: (tokens: Anything) => Promise<unknown> }> = {
  logits: { name: "tokens", call: (tokens) => model.logits(tokens) },
  "logits of rows": { name: "tokens[1]", call: (tokens) => model.logits([[1], tokens]) },
  generate: { name: "prompt", call: (tokens) => model.generate(tokens, { maxNewTokens: 1 }) },
  "generate of prompts": { name: "prompts[1]", call: (tokens) => model.generate([[1], tokens], { maxNewTokens: 1 }) },
  stream: { name: "prompt", call: (tokens) => all(model.stream(tokens, { maxNewTokens: 1 })) },
  perplexity: { name: "text", call: (tokens) => model.perplexity(tokens) },
  scoreMemorization: { name: "samples[0]", call: (tokens) => model.scoreMemorization([tokens], { prefixLength: 1 }) },
};

for (const [title, { name, call }] of Object.entries(takers)) {
  t.test(`token ids of ${title}`, async (t) => {
    for (const id of [-1, 67, 1e10, 2 ** 53, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await refused(
        t,
        `${id}`,
        () => call([1, 2, id]),
        "TOKEN_OUT_OF_RANGE",
        "0 to 66",
        name,
        `received ${id} at position 2`,
      );
    }
    await refused(t, "Int32Array", () => call(Int32Array.of(1, 2, 67)), "TOKEN_OUT_OF_RANGE", name, "received 67");
    await refused(t, "BigInt64Array", () => call(BigInt64Array.of(1n, -3n)), "TOKEN_OUT_OF_RANGE", name, "received -3");
    const long = BigInt64Array.of(1n, 2n ** 32n + 5n);
    await refused(t, "no id wraps around", () => call(long), "TOKEN_OUT_OF_RANGE", name, `received ${2 ** 32 + 5}`);
  });

  t.test(`what is no token id in ${title}`, async (t) => {
    // As a number each of these would be an id.
    for (const id of [null, "2", "", true, [3]]) {
      const refusal = await call([1, 2, id]).then(
        () => "it was taken",
        (error: AttentionBypassError) => error.code,
      );
      t.match(refusal, /^(TOKEN_OUT_OF_RANGE|INVALID_ARGUMENT)$/, JSON.stringify(id));
    }
  });

  t.test(`what are no tokens in ${title}`, async (t) => {
    const tokens = name === "samples[0]" ? "samples" : name;
    for (const value of [null, undefined, 5, {}, true]) {
      await refused(t, String(value), () => call(value), "INVALID_ARGUMENT", tokens, shown(value));
    }
    const said = name === "samples[0]" ? "PREFIX_TOO_LONG" : "INVALID_ARGUMENT";
    await refused(t, "none", () => call([]), said, name);
    await refused(t, "a DataView", () => call(new DataView(new ArrayBuffer(8))), "INVALID_ARGUMENT", name, "DataView");
  });

  t.test(`text without a tokenizer in ${title}`, async (t) => {
    if (name === "samples[0]") await refused(t, "text", () => call("text"), "INVALID_ARGUMENT", name, '"text"');
    else await refused(t, "text", () => call("text"), "TOKENIZER_MISSING", name, "tokenizer");
  });
}

t.test("no rows at all", async (t) => {
  await refused(t, "logits", () => model.logits([]), "INVALID_ARGUMENT", "tokens");
  await refused(t, "generate", () => model.generate([]), "INVALID_ARGUMENT", "prompt");
  await refused(
    t,
    "scoreMemorization",
    () => model.scoreMemorization([], { prefixLength: 1 }),
    "INVALID_ARGUMENT",
    "samples",
  );
  await refused(t, "empty text", () => model.generate(""), "TOKENIZER_MISSING", "prompt");
  await refused(t, "one token", () => model.perplexity([1]), "INVALID_ARGUMENT", "text", "two tokens");
});

t.test("ids in options", async (t) => {
  for (const id of [67, 2 ** 40]) {
    await refused(t, "stop", () => model.generate([1], { stop: id }), "TOKEN_OUT_OF_RANGE", "options.stop", String(id));
    await refused(
      t,
      "stops",
      () => model.generate([1], { stop: [1, id] }),
      "TOKEN_OUT_OF_RANGE",
      "options.stop",
      String(id),
    );
  }
  for (const beginningToken of [-1, 67, 1.5, Number.POSITIVE_INFINITY]) {
    const call = () => model.perplexity([1, 2], { beginningToken });
    await refused(t, "beginning", call, "TOKEN_OUT_OF_RANGE", "options.beginningToken", String(beginningToken));
  }
  await refused(t, "stop text", () => model.generate([1], { stop: "x" }), "TOKENIZER_MISSING", "options.stop");
});

t.test("seeds for other prompts", async (t) => {
  for (const seed of [[], [1], [1, 2, 3]]) {
    const call = () => model.generate([[1], [2]], { temperature: 1, seed });
    await refused(t, `${seed.length}`, call, "INVALID_ARGUMENT", "options.seed", `an array of ${seed.length}`);
  }
});

t.test("prefixes that leave no suffix", async (t) => {
  for (const prefixLength of [3, 4, 1000]) {
    const call = () =>
      model.scoreMemorization(
        [
          [1, 2, 3, 4, 5],
          [1, 2, 3],
        ],
        { prefixLength },
      );
    const row = prefixLength < 5 ? "samples[1] of 3" : "samples[0] of 5";
    await refused(t, `${prefixLength}`, call, "PREFIX_TOO_LONG", "prefixLength", row, `received ${prefixLength}`);
  }
  const [row] = (await model.scoreMemorization([[1, 2, 3]], { prefixLength: 2 })).perRow;
  t.ok(Number.isFinite(row?.suffixLogLikelihood), "one token of suffix is enough");
});

for (const name of ["neox-serial", "neo-untied"]) {
  t.test(`more than the context of ${name}`, async (t) => {
    const model = await loadModel(fixture(name), { device: "cpu" });
    const row = (length: number) => Array<number>(length).fill(1);
    const options = { maxNewTokens: 9, stopAtEndOfText: false };
    const cases: [name: string, call: () => Promise<unknown>, code: ErrorCode, ...said: string[]][] = [
      ["logits", () => model.logits(row(49)), "CONTEXT_TOO_LONG", "tokens", "48", "49"],
      ["logits of rows", () => model.logits([row(4), row(50)]), "CONTEXT_TOO_LONG", "tokens[1]", "48", "50"],
      ["generate", () => model.generate(row(40), options), "CONTEXT_TOO_LONG", "prompt", "maxNewTokens", "48", "49"],
      ["prompts", () => model.generate([[1], row(40)], options), "CONTEXT_TOO_LONG", "prompts[1]", "48", "49"],
      ["without maxNewTokens", () => model.generate(row(48)), "CONTEXT_TOO_LONG", "prompt", "49"],
      ["stream", () => all(model.stream(row(40), options)), "CONTEXT_TOO_LONG", "prompt", "48", "49"],
      ["2 ** 50", () => model.generate([1], { maxNewTokens: 2 ** 50 }), "CONTEXT_TOO_LONG", "maxNewTokens", "48"],
      [
        "scoreMemorization",
        () => model.scoreMemorization([row(8), row(49)], { prefixLength: 4 }),
        "CONTEXT_TOO_LONG",
        "row 1",
        "48",
        "49",
      ],
      [
        "contextLength",
        () => model.perplexity(row(9), { contextLength: 49 }),
        "INVALID_ARGUMENT",
        "contextLength",
        "48",
        "49",
      ],
      [
        "stride",
        () => model.perplexity(row(9), { contextLength: 8, stride: 9 }),
        "INVALID_ARGUMENT",
        "stride",
        "8",
        "9",
      ],
    ];
    for (const [name, call, code, ...said] of cases) await refuses(t, name, call, code, ...said);
    // All of the context is there to use.
    t.equal((await model.logits(row(48))).shape[1], 48);
    t.equal((await model.generate(row(40), { ...options, maxNewTokens: 8 })).tokens.length, 8);
    t.equal(
      (await model.generate(row(40), { stopAtEndOfText: false })).tokens.length,
      8,
      "as many as there is room for",
    );
    t.equal((await model.scoreMemorization([row(48)], { prefixLength: 4 })).rows, 1);
    await model.dispose();
  });
}

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

t.test("after dispose", async (t) => {
  const model = await loadModel(place, { device: "cpu" });
  const running = model.logits([1, 2, 3]);
  const disposed = model.dispose();
  const uses: Record<string, () => Promise<unknown>> = {
    logits: () => model.logits([1]),
    generate: () => model.generate([1]),
    "generate of prompts": () => model.generate([[1], [2]]),
    stream: () => all(model.stream([1])),
    perplexity: () => model.perplexity([1, 2]),
    scoreMemorization: () => model.scoreMemorization([[1, 2]], { prefixLength: 1 }),
  };
  for (const [name, use] of Object.entries(uses)) await refused(t, `${name} during it`, use, "DISPOSED", "disposed");
  await disposed;
  t.same(await running, good, "what ran before it ends well");
  for (const [name, use] of Object.entries(uses)) await refused(t, name, use, "DISPOSED", "disposed");
  await model.dispose();
  await model[Symbol.asyncDispose]();
  t.equal(model.config.blockCount, 3, "what it was can still be read");
});

/** The files of a folder with what is in them. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(path.join(folder, name))).toString("latin1")] as const),
    ),
  );
}

t.test("a conversion that can't be written leaves nothing behind", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "taken"));
  await writeFile(path.join(folder, "file"), "content");
  const places = ["missing/model.pt", "taken", "taken/", "file/model.pt", `${"x".repeat(300)}.pt`];
  for (const place of places.map((name) => `${folder}/${name}`)) {
    const call = () => convert(fixture("neox-serial"), place);
    await refused(t, path.basename(place).slice(0, 20), call, "WRITE_FAILED", place);
    t.same(await contents(folder), { file: "content" }, "nothing more is there");
    t.same(await readdir(path.join(folder, "taken")), []);
  }
});

t.test("a conversion that fails leaves the file that was there", async (t) => {
  const folder = await temporaryFolder(t);
  const to = path.join(folder, "model.pt");
  await writeFile(to, "before");
  const spoiled = await copyOf("neox-serial", t);
  await writeFile(path.join(spoiled, "config.json"), "{}");
  await refused(t, "convert", () => convert(spoiled, to), "ARCHITECTURE_UNSUPPORTED", spoiled);
  t.same(await contents(folder), { "model.pt": "before" });
});

t.test("refusals hold up no other call", async (t) => {
  const results = await Promise.allSettled([
    model.logits([1, 2, 3]),
    model.logits([99]),
    model.generate([1], { bypass: { blocks: [9] } }),
    model.logits([1, 2, 3]),
    model.perplexity([1]),
  ]);
  t.same(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "rejected", "fulfilled", "rejected"],
  );
  t.same((results[3] as PromiseFulfilledResult<Awaited<ReturnType<Model["logits"]>>>).value, good);
});
