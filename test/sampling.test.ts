// Tokens are drawn from the distribution that the logits give, and the same seed draws the same ones.
import { type GenerationOptions, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { fixture } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

t.setTimeout(300_000);

const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
t.after(() => model.dispose());
const vocabulary = model.config.vocabularySize;
const prompt = randomTokens(6, vocabulary, 3);
const prompts = [prompt, [5], randomTokens(12, vocabulary, 4), [9, 8]];
const free = { stopAtEndOfText: false, maxNewTokens: 10 };

/** The logits of the next token after some. */
async function logitsAfter(tokens: number[], options = {}): Promise<number[]> {
  const { data } = await model.logits(tokens, options);
  return Array.from(data.slice(-vocabulary));
}

function softmax(logits: number[], temperature: number): number[] {
  const highest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp((logit - highest) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** The most probable tokens first. */
const byProbability = (probabilities: number[]): number[] =>
  probabilities.map((_, token) => token).sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number));

/** The probabilities among some tokens alone. */
function among(probabilities: number[], tokens: number[]): number[] {
  const kept = new Set(tokens);
  const sum = tokens.reduce((total, token) => total + (probabilities[token] as number), 0);
  return probabilities.map((probability, token) => (kept.has(token) ? probability / sum : 0));
}

/** The fewest most probable tokens that reach a probability together. */
function nucleus(probabilities: number[], topP: number): number[] {
  const tokens = byProbability(probabilities);
  let sum = 0;
  const last = tokens.findIndex((token) => {
    sum += probabilities[token] as number;
    return sum >= topP;
  });
  return tokens.slice(0, last + 1);
}

t.test("the same seed draws the same tokens, and other seeds draw others", async (t) => {
  const options = { ...free, temperature: 2, seed: 7 };
  const first = await model.generate(prompt, options);
  t.equal(first.seed, 7);
  t.same(await model.generate(prompt, options), first);
  const others = await model.generate(Array<number[]>(20).fill(prompt), {
    ...options,
    seed: Array.from({ length: 20 }, (_, index) => 100 + index),
  });
  t.equal(new Set(others.map(({ tokens }) => tokens.join(" "))).size, 20, "twenty seeds, twenty texts");
  const large = { ...options, seed: Number.MAX_SAFE_INTEGER };
  t.same(await model.generate(prompt, large), await model.generate(prompt, large));
  t.notSame(
    (await model.generate(prompt, large)).tokens,
    (await model.generate(prompt, { ...options, seed: Number.MAX_SAFE_INTEGER - 1 })).tokens,
    "all of a seed counts",
  );
});

t.test("without a seed the result names the one that was drawn", async (t) => {
  const options = { ...free, temperature: 2 };
  const [one, other] = await model.generate([prompt, prompt], options);
  t.not(one?.seed, other?.seed);
  const drawn = await model.generate(prompt, options);
  t.same(await model.generate(prompt, { ...options, seed: drawn.seed as number }), drawn);
  t.equal((await model.generate(prompt, free)).seed, undefined, "greedy takes no seed");
});

t.test("a row alone draws what it draws among others", async (t) => {
  const seeds = [11, 22, 33, 44];
  for (const scheme of [{ temperature: 1.5 }, { temperature: 1.5, topK: 9 }, { temperature: 1.5, topP: 0.8 }]) {
    const together = await model.generate(prompts, { ...free, ...scheme, seed: seeds });
    for (const [index, row] of prompts.entries()) {
      const alone = await model.generate(row, { ...free, ...scheme, seed: seeds[index] as number });
      t.same(alone.tokens, together[index]?.tokens, `${JSON.stringify(scheme)}, row ${index}`);
      t.equal(alone.seed, together[index]?.seed);
    }
  }
  const [one, other] = await model.generate([prompt, prompt], { ...free, temperature: 2, seed: 5 });
  t.same(one?.tokens, other?.tokens, "one seed for all");
});

t.test("a row that ends early leaves the others' draws alone", async (t) => {
  const options: GenerationOptions = { ...free, maxNewTokens: 12, temperature: 3 };
  const seeds = [1, 2, 3, 4];
  const together = await model.generate(prompts, { ...options, seed: seeds });
  // Ends the second row at its third token, and others where they draw it too.
  const stop = together[1]?.tokens[2] as number;
  const stopped = await model.generate(prompts, { ...options, seed: seeds, stop });
  for (const [index, { tokens }] of together.entries()) {
    const end = tokens.indexOf(stop);
    t.same(stopped[index]?.tokens, end < 0 ? tokens : tokens.slice(0, end + 1), `row ${index}`);
    t.equal(stopped[index]?.finishReason, end < 0 ? "length" : "stop");
  }
  t.ok(stopped.some(({ finishReason }) => finishReason === "length") && stopped[1]?.finishReason === "stop");
});

t.test("a stream draws what generate draws", async (t) => {
  const options = { ...free, temperature: 2, topK: 20, seed: 3 };
  const { tokens, logProbabilities } = await model.generate(prompt, options);
  const pieces = [];
  for await (const piece of model.stream(prompt, options)) pieces.push(piece);
  t.same(
    pieces.map((piece) => piece.token),
    tokens,
  );
  t.same(
    pieces.map((piece) => piece.logProbability),
    logProbabilities,
  );
});

t.test("one candidate is the greedy one", async (t) => {
  const greedy = await model.generate(prompts, free);
  const schemes = [
    { temperature: 5, topK: 1 },
    { temperature: 5, topP: 1e-9 },
    { temperature: 1e-9 },
    { temperature: 1e-320 },
  ];
  for (const scheme of schemes) {
    const drawn = await model.generate(prompts, { ...free, ...scheme, seed: 1 });
    t.same(
      drawn.map(({ tokens }) => tokens),
      greedy.map(({ tokens }) => tokens),
      JSON.stringify(scheme),
    );
  }
});

t.test("limits that limit nothing", async (t) => {
  const options = { ...free, temperature: 1.5, seed: [1, 2, 3, 4] };
  const drawn = (await model.generate(prompts, options)).map(({ tokens }) => tokens);
  const all = await model.generate(prompts, { ...options, topP: 1 });
  t.same(
    all.map(({ tokens }) => tokens),
    drawn,
  );
  // Drawn in another order, so that the draws differ; the distribution does not.
  for (const topK of [vocabulary, vocabulary + 1, 2 ** 40]) {
    const generations = await model.generate(prompts, { ...options, topK });
    t.ok(
      generations.every(({ tokens }) => tokens.length === 10),
      `topK ${topK}`,
    );
  }
});

/** The chi-square value that one sample in a thousand exceeds, by Wilson and Hilferty. */
function critical(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + 3.09 * Math.sqrt(spread)) ** 3;
}

const draws = 4000;

/** How often each token is drawn first, over seeds that are always the same. */
async function firstTokens(options: GenerationOptions): Promise<number[]> {
  const counts = Array<number>(vocabulary).fill(0);
  for (let begin = 0; begin < draws; begin += 1000) {
    const seed = Array.from({ length: 1000 }, (_, index) => begin + index);
    const rows = Array<number[]>(1000).fill(prompt);
    for (const { tokens } of await model.generate(rows, { ...options, maxNewTokens: 1, seed })) {
      counts[tokens[0] as number]!++;
    }
  }
  return counts;
}

function agrees(t: Test, counts: number[], probabilities: number[]): void {
  let value = 0;
  let degrees = -1;
  // Rare tokens count as one.
  let rareCount = 0;
  let rareExpected = 0;
  const add = (count: number, expected: number) => {
    value += (count - expected) ** 2 / expected;
    degrees++;
  };
  for (const [token, probability] of probabilities.entries()) {
    const expected = probability * draws;
    const count = counts[token] as number;
    if (probability === 0) {
      if (count > 0) t.fail(`token ${token} can't be drawn but was, ${count} times`);
    } else if (expected >= 5) add(count, expected);
    else {
      rareCount += count;
      rareExpected += expected;
    }
  }
  if (rareExpected >= 5) add(rareCount, rareExpected);
  t.ok(degrees >= 3, `enough tokens to tell: ${degrees + 1}`);
  t.ok(value < critical(degrees), `chi-square ${value.toFixed(1)} of ${critical(degrees).toFixed(1)} at ${degrees}`);
}

const logits = await logitsAfter(prompt);

for (const temperature of [0.7, 1, 3]) {
  t.test(`the draws at temperature ${temperature}`, async (t) => {
    agrees(t, await firstTokens({ temperature }), softmax(logits, temperature));
  });
}

t.test("the draws among the topK", async (t) => {
  const probabilities = softmax(logits, 2);
  agrees(
    t,
    await firstTokens({ temperature: 2, topK: 7 }),
    among(probabilities, byProbability(probabilities).slice(0, 7)),
  );
});

t.test("the draws in the topP", async (t) => {
  for (const [temperature, topP] of [
    [1, 0.9],
    [3, 0.5],
  ] as const) {
    const probabilities = softmax(logits, temperature);
    const tokens = nucleus(probabilities, topP);
    t.ok(tokens.length >= 4 && tokens.length < vocabulary, `${tokens.length} candidates`);
    agrees(t, await firstTokens({ temperature, topP }), among(probabilities, tokens));
  }
});

t.test("topP counts among the topK", async (t) => {
  const probabilities = softmax(logits, 3);
  const limited = among(probabilities, byProbability(probabilities).slice(0, 12));
  const tokens = nucleus(limited, 0.6);
  t.not(tokens.length, nucleus(probabilities, 0.6).length, "the order of the two shows");
  agrees(t, await firstTokens({ temperature: 3, topK: 12, topP: 0.6 }), among(limited, tokens));
});

t.test("the second token is drawn after the first, with draws of its own", async (t) => {
  const seed = Array.from({ length: 1000 }, (_, index) => index);
  const generations = await model.generate(Array<number[]>(1000).fill(prompt), {
    ...free,
    maxNewTokens: 2,
    temperature: 3,
    topK: 4,
    seed,
  });
  const followers = new Map<number, Set<number>>();
  for (const { tokens } of generations) {
    const [first, second] = tokens as [number, number];
    followers.set(first, (followers.get(first) ?? new Set()).add(second));
  }
  t.equal(followers.size, 4);
  for (const [first, seconds] of followers) {
    const best = byProbability(await logitsAfter([...prompt, first])).slice(0, 4);
    t.same([...seconds].sort(), best.sort(), `after ${first}`);
  }
});

t.test("log-probabilities are the model's, whatever the temperature", async (t) => {
  const bypass = { blocks: [1] };
  for (const options of [{}, { temperature: 2, seed: 1 }, { temperature: 2, topK: 3, seed: 1 }, { bypass }]) {
    const { tokens, logProbabilities } = await model.generate(prompt, { ...free, ...options });
    const sequence = [...prompt, ...tokens];
    for (const [index, token] of tokens.entries()) {
      const before = sequence.slice(0, prompt.length + index);
      const next = softmax(await logitsAfter(before, "bypass" in options ? { bypass } : {}), 1);
      const expected = Math.log(next[token] as number);
      const actual = logProbabilities[index] as number;
      t.ok(Math.abs(actual - expected) < 1e-4, `${JSON.stringify(options)}, token ${index}`, { actual, expected });
    }
  }
});
