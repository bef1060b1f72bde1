// Every public call with values that nobody should pass: it is refused with a code, or works, and never anything else.
import path from "node:path";
import {
  AttentionBypassError,
  convert,
  createPaperReport,
  createReport,
  drawFigure,
  embeddedModel,
  loadModel,
  recommend,
  reproducePaper,
  samplesToExtract,
  selectivity,
  showFigure,
  showReport,
  writeReport,
} from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { madeUpSweep } from "./support/made-up-sweep.ts";
import { type Anything, all } from "./support/refusals.ts";

t.setTimeout(300_000);

const place = fixture("neox-serial");
const folder = await temporaryFolder(t);
const model = await loadModel(place, { device: "cpu", threads: 1 });
t.after(() => model.dispose());

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

const throwing = (): never => {
  throw new Error("from a getter");
};
const everywhere: ProxyHandler<object> = { get: throwing, has: throwing, ownKeys: throwing, getPrototypeOf: throwing };
const revoked = (target: object): unknown => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const cycle: Anything = [];
cycle.push(cycle);
const ring: Anything = {};
ring.ring = ring;

/** New ones for each call, since a call may empty an iterator. */
const hostile: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  "-0": () => -0,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  "-1e308": () => -1e308,
  "a bigint": () => 1n,
  "a huge bigint": () => 1n << 100_000n,
  "a symbol": () => Symbol("s"),
  "a well-known symbol": () => Symbol.iterator,
  "an empty text": () => "",
  "a text of controls": () => "\u001b]0;title\u0007\u009b31m\r\n\0",
  "half a surrogate pair": () => "\ud800",
  "a long text": () => "x".repeat(1_000_000),
  "a long run of spaces": () => " ".repeat(200_000),
  __proto__: () => "__proto__",
  true: () => true,
  "a function": () => () => undefined,
  "a class": () => class {},
  "an empty object": () => ({}),
  "an object without a prototype": () => Object.create(null),
  "an object whose toString throws": () => ({ toString: throwing, [Symbol.toPrimitive]: throwing, toJSON: throwing }),
  "an object with getters": () => Object.defineProperty({}, "blocks", { get: throwing, enumerable: true }),
  "an object whose constructor has no name": () => ({
    constructor: {
      get name() {
        return throwing();
      },
    },
  }),
  "a proxy": () => new Proxy({}, everywhere),
  "a proxy of an array": () => new Proxy([1, 2], everywhere),
  "a proxy of a function": () => new Proxy(() => undefined, { ...everywhere, apply: throwing }),
  "a revoked proxy": () => revoked({}),
  "a revoked proxy of an array": () => revoked([]),
  "an empty array": () => [],
  "a hole": () => new Array(1),
  "holes behind a number": () => Object.assign(new Array(3), { 0: 1 }),
  "holes by the billion": () => new Array(2 ** 32 - 1),
  "an array with getters": () => Object.defineProperty([1], 0, { get: throwing }),
  "an array of everything": () => [undefined, null, Symbol("s"), 1n, {}, []],
  "an array within itself": () => cycle,
  "an object within itself": () => ring,
  "an array-like object": () => ({ length: 2 ** 31, 0: 1 }),
  texts: () => ["a", "b"],
  "a DataView": () => new DataView(new ArrayBuffer(4)),
  floats: () => Float64Array.of(1.5, Number.NaN),
  bigints: () => BigInt64Array.of(-1n, 1n << 62n),
  "a SharedArrayBuffer": () => new Int32Array(new SharedArrayBuffer(8)).fill(-1),
  "a Map": () => new Map([["blocks", [0]]]),
  "a Date of no day": () => new Date(Number.NaN),
  "a promise that rejects": () => {
    const promise = Promise.reject(new Error("of a promise"));
    promise.catch(() => undefined);
    return promise;
  },
  // biome-ignore lint/suspicious/noThenProperty: that is the point
  "what looks like a promise": () => ({ then: throwing }),
  "a generator": () =>
    (function* () {
      yield throwing();
    })(),
  globalThis: () => globalThis,
};

const few = <Value>(value: Value): Value =>
  JSON.parse(JSON.stringify(value, (key, member) => (/^per(Row|Question)$/.test(key) ? member.slice(0, 2) : member)));
const sweep = few(madeUpSweep([80, 90], [[20, 80]]));
const report = createReport(sweep);
const [figure] = report.figures;
const questions = [{ query: [1], choices: [[1], [2]], gold: 0 }];
/** What a display's own methods throw is its own matter, so that no values are put in their place. */
class Display {
  svg() {}
  html() {}
}
const display = new Display();

/** Puts a value into each place of good arguments, one after the other. */
function within(good: Anything, value: unknown, depth: number): Anything[] {
  if (depth === 0 || typeof good !== "object" || good === null || ArrayBuffer.isView(good)) return [];
  const copies = Object.keys(good).flatMap((key) => {
    const put = (member: unknown) =>
      Array.isArray(good)
        ? good.map((one, index) => (String(index) === key ? member : one))
        : { ...good, [key]: member };
    return [put(value), ...within(good[key], value, depth - 1).map(put)];
  });
  return copies;
}

/** What onProgress throws is its own matter, and has a test elsewhere. */
const longCall = { signal: new AbortController().signal };
const generation = {
  ...longCall,
  maxNewTokens: 1,
  temperature: 0,
  topK: 1,
  topP: 1,
  seed: 1,
  stop: "x",
  stopAtEndOfText: true,
  bypass: { blocks: [0] },
};
const mean = {
  blocks: [0],
  heads: { 1: [0] },
  mode: "mean",
  means: { blocks: [0, 1, 2].map(() => new Array(model.config.hiddenSize).fill(0)) },
};
const measured = { prefixLength: 1, rows: 1, metrics: ["exactMatch"], temperature: 1, topK: 1 };

interface Call {
  call: (...args: Anything[]) => unknown;
  /** Good ones. */
  args: Anything[];
  /** How deep in them other values are put; less where each call takes long. */
  depth?: number;
}

/** Each public call with good arguments. What it is called with in their place must not do any work of length. */
const calls: Record<string, Call> = {
  logProbabilities: {
    call: (...args) => model.logProbabilities(...(args as [Anything])),
    args: [[[1, 2]], { ...longCall, topLogProbabilities: 2, bypass: mean }],
  },
  logits: { call: (...args) => model.logits(...(args as [Anything])), args: [[[1, 2]], { ...longCall, bypass: mean }] },
  generate: { call: (...args) => model.generate(...(args as [Anything])), args: [[1, 2], generation] },
  "generate of several": {
    call: (...args) => model.generate(...(args as [Anything])),
    args: [[[1], [2]], { maxNewTokens: 1, seed: [1, 2] }],
  },
  stream: { call: async (...args) => all(model.stream(...(args as [Anything]))), args: [[1, 2], generation] },
  perplexity: {
    call: (...args) => model.perplexity(...(args as [Anything])),
    args: [
      [1, 2, 3],
      {
        ...longCall,
        contextLength: 2,
        stride: 1,
        beginningToken: 1,
        memory: 1,
        bypass: { blocks: { quartile: 1 } },
      },
    ],
  },
  scoreMemorization: {
    call: (...args) => model.scoreMemorization(...(args as [Anything])),
    args: [
      [{ prefix: [1], suffix: [2] }, { text: [1, 2] }],
      { ...longCall, ...measured, memory: 1, bypass: { blocks: { from: 0, to: 1 } } },
    ],
  },
  sweep: {
    call: (...args) => model.sweep(...(args as [Anything])),
    args: [
      {
        ...longCall,
        ...measured,
        samples: [[1, 2]],
        control: [[2, 1]],
        text: [1, 2],
        tasks: [{ name: "own", questions }],
        over: [{ blocks: [0] }, { window: 3 }, { random: { size: 1, count: 2, seed: 1 } }],
        mode: ["zero"],
        means: mean.means,
        memory: 1000,
        survey: 0,
        compareRows: 0,
        resume: path.join(folder, "resume"),
      },
    ],
  },
  reproducePaper: {
    call: (...args) => reproducePaper(...(args as [Anything])),
    args: [
      {
        ...longCall,
        models: [{ model: "nowhere", name: "a", samples: { prefixes: "a.npy", suffixes: "b.npy" }, prefixLength: 1 }],
        control: [[2, 1]],
        tasks: [{ name: "own", questions }],
        data: "nowhere",
        mode: ["zero"],
        randomSets: 1,
        rows: 1,
        memory: 1000,
        resume: path.join(folder, "paper"),
      },
    ],
  },
  createPaperReport: {
    call: (...args) => createPaperReport(...(args as [Anything])),
    args: [{ format: "attention-bypass paper, 1", models: [{ name: "a", model: "b", parameters: 1, sweep }] }],
    depth: 2,
  },
  benchmark: {
    call: (...args) => model.benchmark(...(args as [Anything])),
    args: [
      [
        { name: "own", questions },
        { definition: "piqa", data: "nowhere", rows: 1 },
      ],
      { ...longCall, data: "nowhere", rows: 1 },
    ],
  },
  attention: {
    call: (...args) => model.attention(...(args as [Anything])),
    args: [[[1, 2]], { ...longCall, prefixLength: 1, rows: 1 }],
  },
  divergence: {
    call: (...args) => model.divergence(...(args as [Anything, Anything])),
    args: [[1, 2], { ...longCall, bypass: { blocks: [0] } }],
  },
  loadModel: {
    call: async (...args) => (await loadModel(...(args as [Anything]))).dispose(),
    args: [
      path.join(folder, "nowhere"),
      { ...longCall, device: "cpu", dtype: "auto", offload: false, threads: 1, tokenizer: "nowhere" },
    ],
  },
  convert: {
    call: (...args) => convert(...(args as [Anything, Anything])),
    args: [path.join(folder, "nowhere"), path.join(folder, "to.pt"), { dtype: "auto", tokenizer: "nowhere" }],
  },
  embeddedModel: { call: (...args) => embeddedModel(...args), args: ["gpt-neox"] },
  samplesToExtract: { call: (...args) => samplesToExtract(...(args as [Anything, Anything])), args: [0.5, 0.5] },
  recommend: { call: (...args) => recommend(...(args as [Anything])), args: [sweep, { tolerance: 1 }], depth: 1 },
  selectivity: { call: (...args) => selectivity(...(args as [Anything])), args: [sweep], depth: 1 },
  createReport: {
    call: (...args) => createReport(...(args as [Anything])),
    args: [sweep, { name: "a", compare: { name: "b", sweep: {} } }],
    depth: 1,
  },
  drawFigure: {
    call: (...args) => drawFigure(...(args as [Anything, Anything])),
    args: [{ name: "a", title: "b", caption: "c", spec: {} }, "svg"],
  },
  writeReport: {
    call: (...args) => writeReport(...(args as [Anything, Anything])),
    args: [{ ...report, figures: [] }, path.join(folder, "r.md"), { figure: "x" }],
  },
  showFigure: { call: (...args) => showFigure(...(args as [Anything, Anything])), args: [figure, display], depth: 1 },
  showReport: {
    call: (...args) => showReport(...(args as [Anything, Anything])),
    args: [{ ...report, figures: [] }, display],
  },
};

/** What a call ended with: nothing where it worked or was refused with a code. */
async function strangeEnd(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof AttentionBypassError)) return error;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    if (!/^[^\n\u001b\u009b]{10,10001}$/.test(error.message)) return new Error(`its message is ${error.message}`);
    if (/Cannot (read|convert)|is not (a function|iterable|defined)/.test(error.message)) return error;
  }
  return undefined;
}

const slowest = 3000;

for (const [name, { call, args, depth = 3 }] of Object.entries(calls)) {
  t.test(name, async (t) => {
    let count = 0;
    for (const [what, make] of Object.entries(hostile)) {
      const lists = args.flatMap((good, place) => {
        const put = (value: unknown) => args.map((one, index) => (index === place ? value : one));
        const value = make();
        return [put(value), ...within(good, value, depth).map(put)];
      });
      for (const list of lists) {
        count++;
        const began = performance.now();
        const strange = await strangeEnd(() => call(...list));
        const took = performance.now() - began;
        if (strange !== undefined) t.fail(`${what}: ${strange instanceof Error ? strange.stack : String(strange)}`);
        if (took > slowest) t.fail(`${what}: it took ${took} ms`);
      }
    }
    t.ok(count > 40, `${count} calls`);
  });
}

t.test("nothing is left over", async (t) => {
  t.equal((await model.logits([1, 2, 3])).shape[1], 3, "the model works on");
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.same(unhandled, [], "no rejection is left unhandled");
  t.equal(({} as Anything).blocks, undefined, "no prototype is changed");
});
