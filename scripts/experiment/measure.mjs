// Memorization, perplexity and tasks of a model, unmodified and under each bypass.
import statistics from "jstat";

const { beta } = statistics.jStat;

const sweptTextTokens = 2048;
const sweptQuestions = 50;

/** A share of yes among answers, with the exact 95 % confidence interval of Clopper and Pearson. */
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

/** The probability that chance alone gives at least as many hits: the one-sided binomial test. */
export function chanceOfAsMany({ count, rows }, chance) {
  return count === 0 ? 1 : beta.cdf(chance, count, rows - count + 1);
}

async function exactMatches(model, rows, options) {
  const { perRow } = await model.scoreMemorization(rows, { metrics: ["exactMatch"], ...options });
  return perRow.map((row) => row.exactMatch);
}

/** The choice with the highest log-likelihood counts, as in the lm-evaluation-harness's `acc`. */
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

/** The perplexity of the best model that knows nothing but how often each token comes in this very text. */
function unigramPerplexity(tokens) {
  const counts = new Map();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / tokens.length) * Math.log(count / tokens.length);
  return Math.exp(entropy);
}

/** Extraction by number of repetitions, perplexity of the held-out text, and the tasks, of the unmodified model. */
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

/** Each block and each quartile, in both modes. */
export function variantsOf(blockCount) {
  const blocks = Array.from({ length: blockCount }, (_, block) => ({ name: `block ${block}`, block, blocks: [block] }));
  const quartiles = [1, 2, 3, 4].map((quartile) => ({ name: `quartile ${quartile}`, quartile, blocks: { quartile } }));
  return ["zero", "short-circuit"].flatMap((mode) =>
    [...blocks, ...quartiles].map((variant) => ({ ...variant, mode })),
  );
}

/**
 * What is left of memorization and ability under no bypass and under each: [base, ...variants]. It takes the secrets
 * that were read at least `repetitions` times, so that there is something to lose.
 */
export async function sweep(model, { kinds, tasks, text }, { repetitions, signal, onProgress }) {
  const secrets = kinds.flatMap(({ rows }) => rows.filter((row) => row.repetitions >= repetitions));
  const questions = tasks.map(({ name, rows }) => ({ name, rows: rows.slice(0, sweptQuestions) }));
  const variants = variantsOf(model.config.blockCount);
  const measured = await model.sweep({
    over: variants.map(({ blocks, mode }) => ({ blocks, mode })),
    samples: secrets,
    metrics: ["exactMatch"],
    text: model.tokenizer.encode(text).slice(0, sweptTextTokens),
    tasks: questions.map(({ name, rows }) => ({ name, questions: rows })),
    signal,
    onProgress,
  });
  const scores = ({ memorization, perplexity, tasks }) => ({
    exactMatch: shareOf(memorization.perRow.map((row) => row.exactMatch)),
    perplexity: perplexity.perplexity,
    tasks: Object.fromEntries(
      Object.entries(tasks).map(([name, { perQuestion }]) => [
        name,
        shareOf(perQuestion.map(({ correct }) => Number(correct))),
      ]),
    ),
  });
  const results = [
    { name: "none", ...scores(measured.base) },
    ...variants.map((variant, index) => ({ ...variant, ...scores(measured.variants[index]) })),
  ];
  return withShares(
    results,
    questions.map(({ name, rows }) => ({ name, chance: chanceOf(rows) })),
  );
}

/**
 * Adds what is kept of the base: of exact match, and of accuracy above chance, averaged over the tasks that the base
 * can do at all; undefined where the base has nothing to lose.
 */
function withShares(results, tasks) {
  const [base] = results;
  const able = tasks.filter(({ name, chance }) => chanceOfAsMany(base.tasks[name], chance) < 0.01);
  return results.map((result) => {
    const abilities = able.map(
      ({ name, chance }) => (result.tasks[name].share - chance) / (base.tasks[name].share - chance),
    );
    return {
      ...result,
      memorizationKept: base.exactMatch.count === 0 ? undefined : result.exactMatch.share / base.exactMatch.share,
      abilityKept: able.length === 0 ? undefined : abilities.reduce((sum, kept) => sum + kept, 0) / able.length,
    };
  });
}
