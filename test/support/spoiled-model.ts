import type { Model } from "attention-bypass";
import type { Anything } from "./refusals.ts";

/** Changes the first number in a result, each time by more, so that no two results of a spoiled model are alike. */
const spoilers: Record<string, (result: Anything, by: number) => void> = {
  logits: ({ data }, by) => {
    data[0] += 1000 * by;
  },
  generate: (result, by) => {
    for (const { tokens } of [result].flat()) tokens[0] += by;
  },
  perplexity: (result, by) => {
    result.perplexity *= 1 + by;
  },
  scoreMemorization: ({ perRow }, by) => spoilRows(perRow, by),
  sweep: ({ base, variants }, by) => {
    for (const { memorization } of [base, ...variants]) spoilRows(memorization.perRow, by);
  },
  attention: ({ blocks }, by) => {
    blocks[0].share += by;
  },
  divergence: ({ blocks }, by) => {
    blocks[0].distance[0] += by;
  },
  benchmark: (result, by) => {
    for (const scores of Object.values<Anything>(result)) scores.accuracy += by;
  },
};

function spoilRows(rows: Anything[], by: number): void {
  for (const row of rows) for (const name of Object.keys(row)) row[name] += by;
}

let calls = 0;

/** A model whose calls work and end in wrong results. */
export function spoiledModel(model: Model): Model {
  return new Proxy(model, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const spoil = spoilers[String(name)];
      if (spoil === undefined) return value.bind(target);
      return async (...args: unknown[]) => {
        const result = await value.apply(target, args);
        spoil(result, ++calls);
        return result;
      };
    },
  });
}
