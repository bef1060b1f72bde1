// Greedy decoding of one row after a prompt of 32 tokens, against node-llama-cpp in alternating rounds on the same random
// weights of Pythia-160m's shape:
//   node bench/llama-cpp.mjs [--rounds 3] [--threads 2] [--tokens 64] [--dtypes float32,float16] [--script FILE]
// The script writes the weights as GGUF and as a checkpoint folder.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { loadModel } from "attention-bypass";
import { checkpoint, defaultScript, generate, openContext, prepare } from "./llama-cpp-peer.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    tokens: { type: "string", default: "64" },
    dtypes: { type: "string", default: "float32,float16" },
    script: { type: "string", default: defaultScript },
    worker: { type: "string" },
    dtype: { type: "string" },
  },
});
const threads = Number(values.threads);
const tokens = Number(values.tokens);
const prompt = Array.from({ length: 32 }, (_, index) => (index * 977 + 13) % 50000);

/** The seconds to the first token, and the tokens a second after it. */
async function timed(stream) {
  const started = performance.now();
  await stream.next();
  const first = performance.now();
  for (let count = 0; count < tokens; count++) await stream.next();
  return { prompt: (first - started) / 1000, decode: tokens / ((performance.now() - first) / 1000) };
}

async function theirs(dtype) {
  const sequence = (await openContext({ dtype, threads })).getSequence();
  const once = async () => {
    await sequence.clearHistory();
    const stream = generate(sequence, prompt);
    const result = await timed(stream);
    await stream.return();
    return result;
  };
  await once();
  return once();
}

async function ours(dtype) {
  const model = await loadModel(checkpoint, { device: "cpu", dtype, threads });
  const options = { maxNewTokens: tokens + 1, stopAtEndOfText: false };
  const once = () => timed(model.stream(prompt, options)[Symbol.asyncIterator]());
  await once();
  const result = await once();
  await model.dispose();
  return result;
}

/** In a process of its own, so that neither has threads of the other next to it. */
function inChild(worker, dtype) {
  const options = ["--threads", values.threads, "--tokens", values.tokens];
  const args = [import.meta.filename, "--worker", worker, "--dtype", dtype, ...options];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

function compare() {
  const dtypes = values.dtypes.split(",");
  prepare(dtypes, values.script);
  for (const dtype of dtypes) {
    const rounds = Array.from({ length: Number(values.rounds) }, () => ({
      ours: inChild("ours", dtype),
      theirs: inChild("theirs", dtype),
    }));
    const line = (name, unit, ratio) => {
      const ratios = rounds.map(ratio);
      const [own, other] = ["ours", "theirs"].map((who) => median(rounds.map((round) => round[who][name])));
      const list = ratios.map((one) => one.toFixed(2)).join(", ");
      console.log(
        `${dtype} ${name}: ${own.toFixed(3)} ${unit}, node-llama-cpp ${other.toFixed(3)} ${unit}; ` +
          `speed of this package / node-llama-cpp ${list} (median ${median(ratios).toFixed(2)})`,
      );
    };
    line("decode", "tokens/s", (round) => round.ours.decode / round.theirs.decode);
    line("prompt", "s", (round) => round.theirs.prompt / round.ours.prompt);
  }
}

if (values.worker === undefined) {
  compare();
} else {
  const result = await (values.worker === "ours" ? ours : theirs)(values.dtype);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
