// Tokens that a model can't take are refused by a code and a line that names the argument, the value and its place.
import { type AttentionBypassError, type ErrorCode, loadModel } from "attention-bypass";
import t from "tap";
import { fixture } from "./support/fixtures.ts";
import { type Anything, all, refusedBy, refuses, shown } from "./support/refusals.ts";

t.setTimeout(300_000);

const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
t.after(() => model.dispose());
const refused = await refusedBy(model);

/** Each call with tokens, and what its messages call them. */
const takers: Record<string, { name: string; call: (tokens: Anything) => Promise<unknown> }> = {
  logits: { name: "tokens", call: (tokens) => model.logits(tokens) },
  "logits of rows": { name: "tokens[1]", call: (tokens) => model.logits([[1], tokens]) },
  generate: { name: "prompt", call: (tokens) => model.generate(tokens, { maxNewTokens: 1 }) },
  "generate of prompts": { name: "prompts[1]", call: (tokens) => model.generate([[1], tokens], { maxNewTokens: 1 }) },
  stream: { name: "prompt", call: async (tokens) => all(model.stream(tokens, { maxNewTokens: 1 })) },
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
      ["stream", async () => all(model.stream(row(40), options)), "CONTEXT_TOO_LONG", "prompt", "48", "49"],
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
