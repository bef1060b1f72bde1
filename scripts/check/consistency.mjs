// Checks on the embedded models that different calls have the same results, and that the device has those of the CPU.
import { readFileSync } from "node:fs";
import path from "node:path";
import { checkDecoding } from "./decoding.mjs";
import { difference } from "./fixtures.mjs";
import { differing, within } from "./record.mjs";
import { checkSweeps } from "./sweeps.mjs";

/** The largest difference by rounding in float32, as for the reference models. */
const float32Limit = 2e-4;

const readLines = (file) =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Secrets with many repetitions and without any, alternating. */
export function someSecrets(measures, count) {
  const all = ["records.jsonl", "passages.jsonl"].flatMap((name) => readLines(path.join(measures, name)));
  const often = all.filter(({ repetitions }) => repetitions >= 64);
  const never = all.filter(({ repetitions }) => repetitions === 0);
  const every = (rows, wanted) => rows.filter((_, index) => index % Math.floor(rows.length / wanted) === 0);
  return [...every(often, count), ...every(never, count)].map(({ prefix, suffix }) => ({ prefix, suffix }));
}

async function checkBypasses({ name, model, processor, secrets, record }) {
  const rows = secrets.slice(0, 6).map(({ prefix, suffix }) => model.tokenizer.encode(prefix + suffix).slice(0, 16));
  const surveyed = await processor.attention(rows);
  await record.check(`${name}: attention's shares as on the CPU`, "float32", async () => {
    const shares = ({ blocks }) => blocks.flatMap(({ share, heads }) => [share, ...heads]);
    return within(difference(shares(await model.attention(rows)), shares(surveyed)), float32Limit);
  });
  const bypasses = {
    "no bypass": undefined,
    "heads, zero": { heads: { 1: [0, 2], 5: [3] } },
    "heads, short-circuit": { heads: { 1: [0, 2], 5: [3] }, mode: "short-circuit" },
    "blocks, mean": { blocks: [2, 7], mode: "mean", means: surveyed.means },
    "heads, mean": { heads: { 0: [1], 6: [0, 3] }, mode: "mean", means: surveyed.means },
  };
  for (const [kind, bypass] of Object.entries(bypasses)) {
    await record.check(`${name}: ${kind}, as on the CPU`, "float32", async () => {
      const [own, theirs] = await Promise.all([model, processor].map((one) => one.logits(rows, bypass && { bypass })));
      return within(difference(own.data, theirs.data), float32Limit);
    });
  }
  await record.check(`${name}: distances of a bypass as on the CPU`, "float64", async () => {
    const bypass = { blocks: [3] };
    const distances = async (one) =>
      (await one.divergence(rows[0], { bypass })).blocks.flatMap(({ distance }) => distance);
    return within(difference(await distances(model), await distances(processor)), 1e-8);
  });
}

async function checkOffload({ name, folder, model, secrets, device, load, record }) {
  const rows = secrets.slice(0, 6).map(({ prefix, suffix }) => model.tokenizer.encode(prefix + suffix).slice(0, 16));
  await record.check(`${name}: weights kept on disk`, "float32", async () => {
    const offloaded = await load(folder, { device, dtype: "float32", offload: true });
    try {
      const [kept, brought] = [await model.logits(rows), await offloaded.logits(rows)];
      return within(difference(brought.data, kept.data), float32Limit);
    } finally {
      await offloaded.dispose();
    }
  });
}

async function checkTasks({ name, model, processor, measures, quick, record }) {
  for (const task of ["agreement", "recall", "sums"]) {
    await record.check(`${name}: task ${task}, answers as on the CPU`, "float32", async () => {
      const questions = readLines(path.join(measures, "tasks", `${task}.jsonl`)).slice(0, quick ? 10 : undefined);
      const [own, theirs] = await Promise.all(
        [model, processor].map(async (one) => (await one.benchmark({ name: task, questions }))[task]),
      );
      const right = ({ accuracy, questions }) => Math.round(accuracy * questions);
      return differing(Math.abs(right(own) - right(theirs)), own.questions, "right answers", 1);
    });
  }
}

async function checkRefusal({ folder, load, record }) {
  // The second is 0 in eight bits, the size of libtorch's device index.
  for (const device of ["cuda:99", "cuda:256"]) {
    await record.check(`${device}, which does not exist`, "any", async () => {
      const model = await load(folder, { device }).catch((error) => error);
      if (!(model instanceof Error)) await model.dispose();
      const figure = model.code ?? (model instanceof Error ? model.message : "loaded");
      return { figure, limit: "DEVICE_UNAVAILABLE", passed: figure === "DEVICE_UNAVAILABLE" };
    });
  }
}

const parts = {
  decoding: checkDecoding,
  sweeps: checkSweeps,
  bypasses: checkBypasses,
  "weights kept on disk": checkOffload,
  tasks: checkTasks,
};

export async function checkConsistency(context) {
  const { library, load, device, quick, record } = context;
  const measures = library.embeddedMeasures();
  const secrets = someSecrets(measures, quick ? 2 : 16);
  for (const name of quick ? ["gpt-neox"] : ["gpt-neox", "gpt-neo"]) {
    const folder = library.embeddedModel(name);
    await record.group(`${name}: loading`, "float32", async () => {
      const model = await load(folder, { device, dtype: "float32" });
      const processor = await load(folder, { device: "cpu", dtype: "float32" });
      const subject = { ...context, name, folder, model, processor, measures, secrets };
      try {
        for (const [title, part] of Object.entries(parts)) {
          await record.group(`${name}: ${title}`, "float32", () => part(subject));
        }
      } finally {
        await Promise.all([model.dispose(), processor.dispose()]);
      }
    });
  }
  await checkRefusal({ ...context, folder: library.embeddedModel("gpt-neox") });
}
