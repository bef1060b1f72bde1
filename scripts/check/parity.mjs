// Compares logits, greedy tokens and perplexities in each dtype on the device with those of Hugging Face transformers.
import path from "node:path";
import { checkpoints, difference, largestOf, readExpected, readFloats } from "./fixtures.mjs";
import { halfDifferences } from "./half-differences.mjs";
import { scientific } from "./record.mjs";

export const dtypes = ["float32", "bfloat16", "float16"];

/** The limits for traced models, which transformers does not load: several roundings of 2^-8 and of 2^-11. */
const plainLimits = { bfloat16: 0.05, float16: 0.01 };

/** The limit: in half precision, twice the difference of transformers from float32 in the same dtype. */
function limitOf(checkpoint, dtype, half) {
  if (dtype === "float32") return { limit: checkpoint.limit, reason: "" };
  const theirs = half[checkpoint.name]?.[dtype];
  if (theirs === undefined) return { limit: plainLimits[dtype], reason: "" };
  return { limit: 2 * theirs, reason: `, twice transformers' ${scientific(theirs)}` };
}

/** For each greedy token of the reference, the margin of its logit over all others. */
function gapsOf({ data, shape: [rows, length, vocabulary] }, promptLength) {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: length - promptLength + 1 }, (_, step) => {
      const begin = (row * length + promptLength - 1 + step) * vocabulary;
      const [best, second] = data.slice(begin, begin + vocabulary).sort((a, b) => b - a);
      return best - second;
    }),
  );
}

/** The reference results of a checkpoint, with the margins of greedy tokens from this package on the CPU in float32. */
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

/** Counts the tokens up to the first difference, and the differences that rounding within the limit does not explain. */
function compareTokens(tokens, { greedy, gaps }, mayMove) {
  let [same, wrong] = [0, 0];
  for (const [row, expected] of greedy.entries()) {
    const place = expected.findIndex((token, index) => tokens[row][index] !== token);
    same += place < 0 ? expected.length : place;
    // Both logits may change by the limit, in opposite directions.
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
    // The log-likelihood of a token changes by at most twice the change of the logits.
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

/** Records one row for the greedy tokens of all checkpoints, and one for their perplexities. */
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

/** Records for each dtype one row for the logits of each checkpoint, one for all greedy tokens, and one for all perplexities. */
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
