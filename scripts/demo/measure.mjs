// Memorization, perplexity and tasks of a model, unmodified and under each bypass.
import binomialTest from "@stdlib/stats-binomial-test";

/** A sweep takes the secrets that were read at least this often, so that there is something to lose. */
const sweptRepetitions = 32;
const sweptTextTokens = 2048;
const sweptQuestions = 50;

/** A share of yes among answers, with the exact 95 % confidence interval of Clopper and Pearson. */
export function shareOf(hits) {
  const count = hits.reduce((sum, hit) => sum + hit, 0);
  const [low, high] = binomialTest(count, hits.length).ci;
  return { share: count / hits.length, low, high, count, rows: hits.length };
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
    const { pValue } = binomialTest(share.count, share.rows, { p: chance, alternative: "greater" });
    scores.push({ task: name, chance, pValue, ...share });
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

/** What is left of memorization and ability under no bypass and under each: [base, ...variants]. */
export async function sweep(model, { kinds, tasks, text }, { signal, onProgress }) {
  const secrets = kinds.flatMap(({ rows }) => rows.filter((row) => row.repetitions >= sweptRepetitions));
  const questions = tasks.map(({ name, rows }) => ({ name, rows: rows.slice(0, sweptQuestions) }));
  const tokens = model.tokenizer.encode(text).slice(0, sweptTextTokens);
  const measure = async (bypass) => {
    const options = { signal, ...(bypass && { bypass }) };
    const scores = {};
    for (const { name, rows } of questions) scores[name] = shareOf(await answers(model, rows, options));
    return {
      exactMatch: shareOf(await exactMatches(model, secrets, options)),
      perplexity: (await model.perplexity(tokens, options)).perplexity,
      tasks: scores,
    };
  };
  const variants = variantsOf(model.config.blockCount);
  const results = [{ name: "none", ...(await measure()) }];
  for (const [index, variant] of variants.entries()) {
    onProgress(index / variants.length);
    results.push({ ...variant, ...(await measure({ blocks: variant.blocks, mode: variant.mode })) });
  }
  onProgress(1);
  const chances = Object.fromEntries(questions.map(({ name, rows }) => [name, chanceOf(rows)]));
  return withShares(results, chances);
}

/** Adds what is kept of the base: of exact match, and of the tasks' accuracy above chance, averaged over tasks. */
function withShares([base, ...variants], chances) {
  const kept = (result) => {
    const abilities = Object.entries(chances).map(
      ([task, chance]) => (result.tasks[task].share - chance) / (base.tasks[task].share - chance),
    );
    return {
      ...result,
      memorizationKept: result.exactMatch.share / base.exactMatch.share,
      abilityKept: abilities.reduce((sum, ability) => sum + ability, 0) / abilities.length,
    };
  };
  return [base, ...variants].map(kept);
}
