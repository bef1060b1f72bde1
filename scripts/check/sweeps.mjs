// Compares a sweep on the device with separate calls and with float32, and interrupts one.
import { difference } from "./fixtures.mjs";
import { differing, within } from "./record.mjs";

const metrics = ["exactMatch", "extractableLength", "suffixLogLikelihood", "completionEntropy"];
const counted = ["exactMatch", "extractableLength"];
const summed = ["suffixLogLikelihood", "completionEntropy"];

/** The number of rows in which the best two logits may be so close that rounding decides. */
const ties = 1;

const sweep = (model, samples, options) =>
  model.sweep({ samples, metrics, mode: ["zero", "short-circuit"], ...options });

const rowsOf = ({ base, variants }) => [base, ...variants].flatMap(({ memorization }) => memorization.perRow);

/** The same with one call for each bypass. */
async function separately(model, samples, { variants }) {
  const rows = [];
  for (const { blocks, mode } of [{ blocks: [], mode: "zero" }, ...variants]) {
    rows.push(...(await model.scoreMemorization(samples, { metrics, bypass: { blocks, mode } })).perRow);
  }
  return rows;
}

const otherwise = (one, other, names) =>
  one.filter((row, index) => names.some((name) => row[name] !== other[index][name])).length;

/** The largest difference between sums over the tokens of a suffix, as a share of a sum that is not near 0. */
function distance(one, other) {
  const distances = one.flatMap((row, index) =>
    summed.map((name) => Math.abs(row[name] - other[index][name]) / Math.max(1, Math.abs(other[index][name]))),
  );
  return distances.some(Number.isNaN) ? Number.NaN : Math.max(...distances);
}

/** In half precision, one row in a hundred may differ; rows with nearly equal logits are rescored in float32. */
async function checkHalf({ name, folder, device, load, secrets, record }, float32, dtype) {
  await record.check(`${name}: a sweep's exact matches as in float32`, dtype, async () => {
    const model = await load(folder, { device, dtype });
    try {
      const rows = rowsOf(await sweep(model, secrets));
      return differing(otherwise(rows, float32, ["exactMatch"]), rows.length, "rows", Math.floor(rows.length / 100));
    } finally {
      await model.dispose();
    }
  });
}

async function checkAbort({ name, model, secrets, record }) {
  await record.check(`${name}: a model after an aborted sweep`, "float32", async () => {
    const row = model.tokenizer.encode(secrets[0].prefix);
    const before = await model.logits(row);
    const abort = new AbortController();
    const reason = new Error("enough");
    const onProgress = () => abort.abort(reason);
    const outcome = await sweep(model, secrets, { signal: abort.signal, onProgress }).catch((error) => error);
    if (outcome !== reason) throw new Error("the sweep did not reject with the signal's reason");
    return within(difference((await model.logits(row)).data, before.data), 2e-4);
  });
}

export async function checkSweeps(subject) {
  const { name, model, processor, secrets, record } = subject;
  const result = await sweep(model, secrets);
  const rows = rowsOf(result);
  const alone = await separately(model, secrets, result);
  await record.check(`${name}: matches of a sweep and of separate calls`, "float32", async () =>
    differing(otherwise(rows, alone, counted), rows.length, "rows", ties),
  );
  await record.check(`${name}: likelihoods of a sweep and of separate calls`, "float32", async () =>
    within(distance(rows, alone), 2e-4),
  );
  const theirs = rowsOf(await sweep(processor, secrets));
  await record.check(`${name}: matches of a sweep as on the CPU`, "float32", async () =>
    differing(otherwise(rows, theirs, counted), rows.length, "rows", ties),
  );
  await record.check(`${name}: likelihoods of a sweep as on the CPU`, "float32", async () =>
    within(distance(rows, theirs), 2e-4),
  );
  for (const dtype of ["bfloat16", "float16"]) await checkHalf(subject, theirs, dtype);
  await checkAbort(subject);
}
