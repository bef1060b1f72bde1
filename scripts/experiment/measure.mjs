// The measurements of the experiment: extraction by repetition, perplexity and tasks of the unmodified model, and the sweep.
import statistics from "jstat";

const { beta } = statistics.jStat;

const sweptTextTokens = 2048;
const sweptQuestions = 50;

/** The groups of the embedded models' tasks. */
const groups = { agreement: "language", recall: "language", sums: "reasoning" };
const groupOf = (name) => (groups[name] === undefined ? {} : { group: groups[name] });

/** The share of true answers, with the exact 95 % confidence interval of Clopper and Pearson. */
export function shareOf(hits) {
  const count = hits.reduce((sum, hit) => sum + hit, 0);
  const misses = hits.length - count;
  return {
    share: count / hits.length,
    low: count === 0 ? 0 : beta.inv(0.025, count, misses + 1),
    high: misses === 0 ? 1 : beta.inv(0.975, count + 1, misses),
    count,
    rows: hits.length,
  };
}

/** The probability of at least as many hits by chance: the one-sided binomial test. */
export function chanceOfAsMany({ count, rows }, chance) {
  return count === 0 ? 1 : beta.cdf(chance, count, rows - count + 1);
}

async function exactMatches(model, rows, options) {
  const { perRow } = await model.scoreMemorization(rows, { metrics: ["exactMatch"], ...options });
  return perRow.map((row) => row.exactMatch);
}

/** The answer is the choice with the highest log-likelihood, as in the lm-evaluation-harness's `acc`. */
async function answers(model, questions, options) {
  const rows = questions.flatMap(({ query, choices }) =>
    choices.map((choice) => ({ prefix: query, suffix: ` ${choice}` })),
  );
  const { perRow } = await model.scoreMemorization(rows, { metrics: ["suffixLogLikelihood"], ...options });
  let at = 0;
  return questions.map(({ choices, gold }) => {
    const scores = choices.map(() => perRow[at++].suffixLogLikelihood);
    return scores.indexOf(Math.max(...scores)) === gold ? 1 : 0;
  });
}

const chanceOf = (questions) => questions.reduce((sum, { choices }) => sum + 1 / choices.length, 0) / questions.length;

/** The perplexity of a unigram model with the token frequencies of this text. */
function unigramPerplexity(tokens) {
  const counts = new Map();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / tokens.length) * Math.log(count / tokens.length);
  return Math.exp(entropy);
}

/** Measures the unmodified model: extraction by number of repetitions, perplexity of the held-out text, and the tasks. */
export async function measureBase(model, { kinds, tasks, text }, signal) {
  const extraction = [];
  for (const { name, rows } of kinds) {
    const matches = await exactMatches(model, rows, { signal });
    const hits = new Map();
    for (const [index, { repetitions }] of rows.entries()) {
      hits.set(repetitions, [...(hits.get(repetitions) ?? []), matches[index]]);
    }
    for (const repetitions of [...hits.keys()].sort((a, b) => a - b)) {
      extraction.push({ kind: name, repetitions, ...shareOf(hits.get(repetitions)) });
    }
  }
  const tokens = model.tokenizer.encode(text);
  const { perplexity } = await model.perplexity(tokens, { signal });
  const scores = [];
  for (const { name, rows } of tasks) {
    const hits = await answers(model, rows, { signal });
    const chance = chanceOf(rows);
    const share = shareOf(hits);
    scores.push({ task: name, chance, pValue: chanceOfAsMany(share, chance), ...share });
  }
  return {
    extraction,
    perplexity,
    unigramPerplexity: unigramPerplexity(tokens),
    textTokens: tokens.length,
    tasks: scores,
  };
}

/** Rows over which mean outputs are computed: each has as many tokens as the model's context. */
function textRows(model, tokens) {
  const { contextLength } = model.config;
  const count = Math.min(8, Math.floor(tokens.length / contextLength));
  const rows = Array.from({ length: count }, (_, row) => tokens.slice(row * contextLength, (row + 1) * contextLength));
  return count > 0 ? rows : [tokens];
}

const mostRandomSets = 20;

/** Each head by itself, in one mode. */
function singleHeads({ blockCount, headCount }) {
  return Array.from({ length: blockCount * headCount }, (_, index) => ({
    heads: { [Math.floor(index / headCount)]: [index % headCount] },
    mode: "zero",
  }));
}

/** The attention of each block and each quarter of the blocks in the modes that only attention or few bypasses need. */
function attentionInOtherModes({ blockCount }) {
  const blocks = Array.from({ length: blockCount }, (_, block) => [block]);
  const quartiles = [1, 2, 3, 4].map((quartile) => ({ quartile }));
  return ["short-circuit", "mean"].flatMap((mode) =>
    [...blocks, ...quartiles].map((chosen) => ({ blocks: chosen, part: "attention", mode })),
  );
}

/** Random sets of as many blocks as a quarter has, or all such sets if there are few. */
function randomSets({ blockCount }) {
  const size = Math.max(1, Math.floor(blockCount / 4));
  let sets = 1;
  for (let taken = 1; taken <= size; taken++) sets = (sets * (blockCount - size + taken)) / taken;
  return { random: { size, count: Math.min(mostRandomSets, Math.round(sets)) } };
}

/**
 * Sweeps over each block, each quarter of the blocks and random sets of that size with attention, MLPs and both, over the
 * attention of blocks and quarters in all modes, and over each head. Uses the secrets that were repeated at least
 * `repetitions` times, because the model has memorized these, and as control those that are in no training text.
 */
export async function sweep(model, { kinds, tasks, text }, { repetitions, signal, onProgress }) {
  const tokens = model.tokenizer.encode(text);
  const { means } = await model.attention(textRows(model, tokens), { signal });
  const rows = kinds.flatMap((kind) => kind.rows);
  const control = rows.filter((row) => row.repetitions === 0);
  return model.sweep({
    over: [
      "blocks",
      "quartiles",
      randomSets(model.config),
      ...attentionInOtherModes(model.config),
      ...singleHeads(model.config),
    ],
    part: ["attention", "mlp", "both"],
    means,
    samples: rows.filter((row) => row.repetitions >= repetitions),
    ...(control.length > 0 && { control }),
    metrics: ["exactMatch", "teacherForcedAccuracy", "suffixLogLikelihood"],
    text: tokens.slice(0, sweptTextTokens),
    tasks: tasks.map(({ name, rows }) => ({ name, ...groupOf(name), questions: rows.slice(0, sweptQuestions) })),
    survey: 4,
    signal,
    onProgress,
  });
}
