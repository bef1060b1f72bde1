// Concurrent streams on one model, each with its own prompt, against node-llama-cpp's sequences of one context in
// alternating rounds: tokens a second in total, the time to the first token, and the fairness between the streams:
//   node bench/streams.mjs [--streams 1,16,64] [--rounds 3] [--threads 2] [--tokens 64] [--dtype float32] [--device cpu]
//                          [--model FOLDER] [--script FILE]
// Without --model: random weights of Pythia-160m's shape. With it, and on a GPU, there is no peer.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { loadModel } from "attention-bypass";
import { checkpoint, defaultScript, generate, openContext, prepare } from "./llama-cpp-peer.mjs";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "1,16,64" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    tokens: { type: "string", default: "64" },
    dtype: { type: "string", default: "float32" },
    device: { type: "string", default: "cpu" },
    model: { type: "string" },
    script: { type: "string", default: defaultScript },
    worker: { type: "string" },
  },
});
const { dtype, device } = values;
const threads = Number(values.threads);
const tokens = Number(values.tokens);
const counts = values.streams.split(",").map(Number);
const promptOf = (stream) => Array.from({ length: 32 }, (_, index) => (stream * 7919 + index * 977 + 13) % 50000);

/** Runs streams at the same time. `open` returns the async iterator of one. */
async function measure(count, open) {
  const started = performance.now();
  const ends = await Promise.all(
    Array.from({ length: count }, async (_, number) => {
      const stream = open(number);
      await stream.next();
      const first = performance.now();
      for (let token = 1; token < tokens; token++) await stream.next();
      await stream.return?.();
      return { first: (first - started) / 1000, last: (performance.now() - started) / 1000 };
    }),
  );
  const last = ends.map((end) => end.last);
  return {
    total: (count * tokens) / Math.max(...last),
    firstToken: median(ends.map((end) => end.first)),
    fairness: Math.min(...last) / Math.max(...last),
  };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function ours() {
  const model = await loadModel(values.model ?? checkpoint, { device, dtype, threads });
  const options = { maxNewTokens: tokens, stopAtEndOfText: false };
  const open = (number) => model.stream(promptOf(number), options)[Symbol.asyncIterator]();
  await measure(1, open);
  const results = [];
  for (const count of counts) results.push(await measure(count, open));
  await model.dispose();
  return results;
}

async function theirs() {
  const results = [];
  for (const count of counts) {
    const context = await openContext({ dtype, threads, sequences: count, contextSize: 128 });
    const sequences = Array.from({ length: count }, () => context.getSequence());
    const open = (number) => generate(sequences[number], promptOf(number));
    await measure(1, open);
    await sequences[0].clearHistory();
    results.push(await measure(count, open));
    await context.dispose();
  }
  return results;
}

/** In a process of its own, so that neither has threads of the other next to it. */
function inChild(worker) {
  const args = [import.meta.filename, ...process.argv.slice(2), "--worker", worker];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
}

function compare() {
  const hasPeer = device === "cpu" && values.model === undefined;
  if (values.model === undefined) prepare([dtype], values.script);
  const rounds = Array.from({ length: Number(values.rounds) }, () => ({
    ours: inChild("ours"),
    ...(hasPeer && { theirs: inChild("theirs") }),
  }));
  const describe = (who, place) => {
    const of = (name) => median(rounds.map((round) => round[who][place][name]));
    return (
      `${of("total").toFixed(1)} tokens/s, first token after ${of("firstToken").toFixed(3)} s, ` +
      `first stream's end / last's ${of("fairness").toFixed(2)}`
    );
  };
  for (const [place, count] of counts.entries()) {
    const times = rounds.map(({ ours }) => ours[place].total / ours[0].total);
    console.log(`${count} streams in ${dtype}: ${describe("ours", place)}`);
    console.log(`  in total ${median(times).toFixed(2)} times the tokens/s of ${counts[0]}`);
    if (!hasPeer) continue;
    const ratios = rounds.map((round) => round.ours[place].total / round.theirs[place].total);
    console.log(`  node-llama-cpp: ${describe("theirs", place)}`);
    console.log(`  tokens/s of this package / node-llama-cpp: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}`);
  }
}

if (values.worker === undefined) {
  compare();
} else {
  const results = await (values.worker === "ours" ? ours : theirs)();
  process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
}
