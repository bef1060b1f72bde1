// What Hugging Face computed on the checkpoints, in each dtype on the device: logits, greedy tokens, perplexities.
import path from "node:path";
import { checkpoints, difference, largestOf, readExpected, readFloats } from "./fixtures.mjs";
import { halfDifferences } from "./half-differences.mjs";
import { scientific } from "./record.mjs";

export const dtypes = ["float32", "bfloat16", "float16"];

/** For what transformers does not load, the traced models: some roundings of 2^-8 and of 2^-11. */
const plainLimits = { bfloat16: 0.05, float16: 0.01 };

/** In half precision, twice what transformers is away from float32 in the same dtype. */
function limitOf(checkpoint, dtype, half) {
  if (dtype === "float32") return { limit: checkpoint.limit, reason: "" };
  const theirs = half[checkpoint.name]?.[dtype];
  if (theirs === undefined) return { limit: plainLimits[dtype], reason: "" };
  return { limit: 2 * theirs, reason: `, twice transformers' ${scientific(theirs)}` };
}

/** For each greedy token of the reference, how far its logit is above all others'. */
function gapsOf({ data, shape: [rows, length, vocabulary] }, promptLength) {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: length - promptLength + 1 }, (_, step) => {
      const begin = (row * length + promptLength - 1 + step) * vocabulary;
      const [best, second] = data.slice(begin, begin + vocabulary).sort((a, b) => b - a);
      return best - second;
    }),
  );
}

/** What was expected of a checkpoint, with the gaps of greedy tokens by this package on the CPU in float32. */
async function withGaps({ folder, ...checkpoint }, load) {
  const { input_ids: rows, cases } = readExpected(folder);
  const model = await load(folder, { device: "cpu", dtype: "float32" });
  try {
    const known = [];
    for (const { blocks, mode, greedy, greedy_prompt_length: promptLength, ...values } of cases) {
      const prompts = rows.map((row) => row.slice(0, promptLength));
      const followed = prompts.map((prompt, row) => [...prompt, ...greedy[row].slice(0, -1)]);
      const gaps = gapsOf(await model.logits(followed, { bypass: { blocks, mode } }), promptLength);
      const logits = readFloats(path.join(folder, values.logits));
      known.push({ bypass: { blocks, mode }, prompts, greedy, gaps, logits, perplexity: values.perplexity });
    }
    return { ...checkpoint, folder, rows, cases: known };
  } finally {
    await model.dispose();
  }
}

/** Tokens up to the first that differs, and those that differ although no rounding within the limit explains it. */
function compareTokens(tokens, { greedy, gaps }, mayMove) {
  let [same, wrong] = [0, 0];
  for (const [row, expected] of greedy.entries()) {
    const place = expected.findIndex((token, index) => tokens[row][index] !== token);
    same += place < 0 ? expected.length : place;
    // Two logits may move towards each other.
    if (place >= 0 && gaps[row][place] > 2 * mayMove) wrong++;
  }
  return { same, wrong };
}

async function agreement(model, { rows, cases }, dtype, limit) {
  const found = { logits: 0, perplexity: 0, perplexityLimit: 1e-4, same: 0, tokens: 0, wrong: 0 };
  for (const expected of cases) {
    const { bypass, prompts, greedy, logits, perplexity } = expected;
    const { data } = await model.logits(rows, { bypass });
    const off = difference(data, logits);
    if (!(off <= found.logits)) found.logits = off;
    const mayMove = limit * largestOf(logits);
    const generations = await model.generate(prompts, {
      maxNewTokens: greedy[0].length,
      stopAtEndOfText: false,
      bypass,
    });
    const { same, wrong } = compareTokens(
      generations.map(({ tokens }) => tokens),
      expected,
      mayMove,
    );
    found.same += same;
    found.wrong += wrong;
    found.tokens += greedy.flat().length;
    // A token's log-likelihood moves by no more than twice what logits do.
    if (dtype !== "float32") found.perplexityLimit = Math.max(found.perplexityLimit, Math.expm1(2 * mayMove));
    for (const [row, value] of perplexity.entries()) {
      const result = await model.perplexity(rows[row], { bypass });
      const distance = Math.abs(result.perplexity / value - 1);
      if (!(distance <= found.perplexity)) found.perplexity = distance;
    }
  }
  return found;
}

async function checkIn(dtype, checkpoint, { device, load, record, half }) {
  const { limit, reason } = limitOf(checkpoint, dtype, half);
  let found;
  await record.check(`logits of ${checkpoint.name}`, dtype, async () => {
    const model = await load(checkpoint.folder, { device, dtype });
    try {
      found = await agreement(model, checkpoint, dtype, limit);
    } finally {
      await model.dispose();
    }
    return { figure: scientific(found.logits), limit: scientific(limit) + reason, passed: found.logits <= limit };
  });
  return found;
}

/** Greedy tokens and perplexities of all checkpoints in one row each. */
async function summarize(dtype, found, record) {
  const sum = (name) => found.reduce((total, one) => total + one[name], 0);
  await record.check("greedy tokens of all", dtype, async () => ({
    figure: `${sum("same")} of ${sum("tokens")} before a difference, ${sum("wrong")} differences beyond the limit`,
    limit: "0 beyond twice the logits' limit",
    passed: found.length > 0 && sum("wrong") === 0,
  }));
  await record.check("perplexities of all", dtype, async () => {
    const share = (one) => one.perplexity / one.perplexityLimit;
    const worst = found.reduce((one, other) => (share(one) >= share(other) ? one : other));
    const passed = found.every((one) => one.perplexity <= one.perplexityLimit);
    return { figure: scientific(worst.perplexity), limit: scientific(worst.perplexityLimit), passed };
  });
}

/** For each dtype a row for each checkpoint's logits, and one for all greedy tokens and one for all perplexities. */
export async function checkParity(context) {
  const { quick, record, log, python, device, load } = context;
  const known = [];
  for (const checkpoint of checkpoints({ quick })) {
    await record.group(`reading ${checkpoint.name}`, "float32", async () => {
      known.push(await withGaps(checkpoint, load));
    });
  }
  const half = halfDifferences(python, known, device, log);
  for (const dtype of dtypes) {
    const found = [];
    for (const checkpoint of known) found.push(await checkIn(dtype, checkpoint, { device, load, record, half }));
    await summarize(dtype, found.filter(Boolean), record);
  }
}
