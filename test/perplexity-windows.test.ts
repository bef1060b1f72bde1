// Each token of a text is predicted exactly once, in windows that overlap and never exceed the model's context.
import { loadModel, type Model } from "attention-bypass";
import t from "tap";
import { windows } from "../lib/metrics/perplexity.ts";
import { fixture } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

type Stretch = [begin: number, end: number, firstScored: number];

/** Windows over the tokens 0, 1, 2, ... by the positions in the text. */
function stretches(length: number, contextLength: number, stride: number): Stretch[] {
  const tokens = Int32Array.from({ length }, (_, index) => index);
  return windows(tokens, contextLength, stride).map((window) => {
    const begin = window.tokens[0] as number;
    return [begin, begin + window.tokens.length, begin + window.first];
  });
}

t.test("window boundaries", async (t) => {
  const cases: [length: number, contextLength: number, stride: number, expected: Stretch[]][] = [
    [2, 4, 2, [[0, 2, 1]]],
    [4, 4, 2, [[0, 4, 1]]],
    [
      5,
      4,
      2,
      [
        [0, 4, 1],
        [2, 5, 4],
      ],
    ],
    [
      6,
      4,
      2,
      [
        [0, 4, 1],
        [2, 6, 4],
      ],
    ],
    [
      10,
      4,
      2,
      [
        [0, 4, 1],
        [2, 6, 4],
        [4, 8, 6],
        [6, 10, 8],
      ],
    ],
    [
      9,
      4,
      1,
      [
        [0, 4, 1],
        [1, 5, 4],
        [2, 6, 5],
        [3, 7, 6],
        [4, 8, 7],
        [5, 9, 8],
      ],
    ],
    [
      9,
      4,
      3,
      [
        [0, 4, 1],
        [3, 7, 4],
        [6, 9, 7],
      ],
    ],
    // Without any overlap a token still needs one before it: its window has one target more than inputs.
    [
      10,
      4,
      4,
      [
        [0, 4, 1],
        [3, 8, 4],
        [7, 10, 8],
      ],
    ],
    [
      5,
      2,
      1,
      [
        [0, 2, 1],
        [1, 3, 2],
        [2, 4, 3],
        [3, 5, 4],
      ],
    ],
    [
      100,
      48,
      24,
      [
        [0, 48, 1],
        [24, 72, 48],
        [48, 96, 72],
        [72, 100, 96],
      ],
    ],
  ];
  for (const [length, contextLength, stride, expected] of cases) {
    t.same(stretches(length, contextLength, stride), expected, `${length} tokens, ${contextLength} by ${stride}`);
  }
});

t.test("each token once, the overlap asked for, and no more inputs than the context", async (t) => {
  for (const contextLength of [2, 3, 5, 8, 16]) {
    for (let stride = 1; stride <= contextLength; stride++) {
      for (const length of [2, 3, 7, 16, 17, 61]) {
        const list = stretches(length, contextLength, stride);
        const scored = list.flatMap(([, end, first]) =>
          Array.from({ length: end - first }, (_, index) => first + index),
        );
        const name = `${length} tokens, ${contextLength} by ${stride}`;
        t.same(
          scored,
          Array.from({ length: length - 1 }, (_, index) => index + 1),
          `${name}: each once`,
        );
        t.ok(
          list.every(([begin, end]) => end - 1 - begin <= contextLength),
          `${name}: inputs`,
        );
        const overlaps = list.slice(1).map(([begin, , first]) => first - begin);
        t.ok(
          overlaps.every((overlap) => overlap === Math.max(1, contextLength - stride)),
          `${name}: overlap`,
        );
      }
    }
  }
});

/** Of a token after others, from plain logits. */
async function negativeLogLikelihoods(model: Model, tokens: number[], [begin, end, first]: Stretch): Promise<number[]> {
  const { data, shape } = await model.logits(tokens.slice(begin, end - 1));
  const vocabulary = shape[2];
  return tokens.slice(first, end).map((token, index) => {
    const row = data.subarray((first - 1 - begin + index) * vocabulary, (first - begin + index) * vocabulary);
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    return Math.log(sum) - (row[token] as number);
  });
}

async function expectedLoss(model: Model, tokens: number[], list: Stretch[]): Promise<number> {
  let total = 0;
  for (const stretch of list) {
    for (const loss of await negativeLogLikelihoods(model, tokens, stretch)) total += loss;
  }
  return total / (tokens.length - 1);
}

for (const name of ["neox-serial", "neo-untied"]) {
  t.test(`${name}: the perplexity of a long text is that of plain logits`, async (t) => {
    const model = await loadModel(fixture(name), { device: "cpu" });
    const tokens = randomTokens(110, 67);
    const cases: { options: Parameters<Model["perplexity"]>[1]; list: Stretch[] }[] = [
      // The defaults: the model's whole context, by half of it.
      {
        options: {},
        list: [
          [0, 48, 1],
          [24, 72, 48],
          [48, 96, 72],
          [72, 110, 96],
        ],
      },
      {
        options: { contextLength: 48, stride: 48 },
        list: [
          [0, 48, 1],
          [47, 96, 48],
          [95, 110, 96],
        ],
      },
      {
        options: { contextLength: 40, stride: 30, memory: 1 },
        list: [
          [0, 40, 1],
          [30, 70, 40],
          [60, 100, 70],
          [90, 110, 100],
        ],
      },
    ];
    for (const { options, list } of cases) {
      const result = await model.perplexity(tokens, options);
      const loss = await expectedLoss(model, tokens, list);
      const title = JSON.stringify(options);
      t.ok(Math.abs(result.negativeLogLikelihood - loss) < 1e-5 * loss, title, { result, loss });
      t.equal(result.perplexity, Math.exp(result.negativeLogLikelihood), `${title}: exp`);
      t.equal(result.tokenCount, 109, `${title}: tokens`);
    }
    await model.dispose();
  });
}

t.test("strides give different results, so that the comparison can fail", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
  const tokens = randomTokens(110, 67);
  const [half, none] = await Promise.all([24, 48].map((stride) => model.perplexity(tokens, { stride })));
  t.ok(Math.abs((half?.negativeLogLikelihood ?? 0) - (none?.negativeLogLikelihood ?? 0)) > 1e-3);
  await model.dispose();
});

t.test("a beginning token gives the first token a prediction", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
  const tokens = randomTokens(10, 67);
  const result = await model.perplexity(tokens, { beginningToken: 0 });
  t.equal(result.tokenCount, 10);
  t.same(result, await model.perplexity([0, ...tokens]));
  t.equal((await model.perplexity([5], { beginningToken: 0 })).tokenCount, 1);
  await model.dispose();
});
