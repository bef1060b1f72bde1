// Calls in half precision, whose doubtful rows are rescored in float32: their progress and their cost.
import { rm } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel, type SweepOptions } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

t.setTimeout(120_000);

const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1, dtype: "bfloat16" });
t.after(() => model.dispose());

const count = 12;
const prefixes = Array.from({ length: count }, (_, row) => randomTokens(8, model.config.vocabularySize, row));
// What the model itself generates: a random model's margins are small there.
const generations = await model.generate(prefixes, { maxNewTokens: 8, stopAtEndOfText: false });
const samples = prefixes.map((prefix, row) => [...prefix, ...(generations[row]?.tokens ?? [])]);
const shape = { samples, prefixLength: 8, compareRows: 0 } as const;

const calls: Record<string, (onProgress: (share: number) => void) => Promise<unknown>> = {
  scoreMemorization: (onProgress) => model.scoreMemorization(samples, { prefixLength: 8, onProgress }),
  "scoreMemorization, row by row": (onProgress) =>
    model.scoreMemorization(samples, { prefixLength: 8, memory: 1, onProgress }),
  sweep: (onProgress) => model.sweep({ ...shape, onProgress }),
  "sweep with a comparison": (onProgress) => model.sweep({ ...shape, compareRows: 3, onProgress }),
  "sweep with a survey": (onProgress) => model.sweep({ ...shape, compareRows: 3, survey: 2, onProgress }),
};

for (const [name, call] of Object.entries(calls)) {
  t.test(`progress of ${name} rises and ends at 1`, async (t) => {
    const shares: number[] = [];
    await call((share) => shares.push(share));
    t.equal(shares.at(-1), 1);
    t.same(
      shares.filter((share, index) => share <= (shares[index - 1] ?? 0)),
      [],
      "values that do not rise",
    );
  });
}

t.test("the cost counts the work in float32", async (t) => {
  const operations = async (options: Partial<SweepOptions<"exactMatch" | "completionEntropy">>) =>
    (await model.sweep({ ...shape, ...options })).cost.operations;
  const plain = await operations({ metrics: ["completionEntropy"] });
  t.equal(await operations({ metrics: ["completionEntropy"], compareRows: count }), 2 * plain, "all rows compared");
  // The unmodified model's margins are small in every row, which it is then computed for a second time.
  t.ok((await operations({ metrics: ["exactMatch"] })) > 1.2 * plain, "rows rescored");
});

t.test("the comparison with float32 widens weights that the file has in half precision", async (t) => {
  const folder = await temporaryFolder(t);
  for (const [name, dtype] of [
    ["neox-serial", "bfloat16"],
    ["neo-types", "float16"],
    ["gpt2", "float16"],
  ] as const) {
    const file = path.join(folder, `${name}.pt`);
    await convert(fixture(name), file, { dtype });
    await using half = await loadModel(file, { device: "cpu", threads: 1, dtype });
    await using float32 = await loadModel(file, { device: "cpu", threads: 1, dtype: "float32" });
    const rows = samples.map((row) => row.map((token) => token % half.config.vocabularySize));
    const options = { samples: rows, prefixLength: 8, metrics: ["completionEntropy"] } as const;
    const compared = await half.sweep({ ...options, compareRows: count });
    const expected = await float32.sweep(options);
    const entropies = (result: typeof expected) =>
      [result.base, ...result.variants].flatMap(({ memorization }) =>
        (memorization?.perRow ?? []).map((row) => row.completionEntropy ?? Number.NaN),
      );
    const exact = entropies(expected);
    const largest = Math.max(...entropies(compared).map((value, index) => Math.abs(value - (exact[index] as number))));
    t.ok(exact.length >= count && largest < 0.4, `${name}: differs by ${largest}`);
    // Entropies are of the 8 tokens of a suffix; the measured difference is per token.
    const measured = 8 * (compared.precision?.entropy.largest ?? Number.NaN);
    t.ok(Math.abs(measured - largest) < 1e-4, `${name}: measured ${measured}, is ${largest}`);
    // Rescoring in float32 needs no file either.
    await rm(file);
    await half.scoreMemorization(rows, { prefixLength: 8 });
  }
});

t.test("many tokens at once give what they give row by row", async (t) => {
  const folder = await temporaryFolder(t);
  for (const [name, dtype] of [
    ["neox-serial", "bfloat16"],
    ["neo-types", "float16"],
    ["gpt2", "bfloat16"],
  ] as const) {
    const file = path.join(folder, `${name}.pt`);
    await convert(fixture(name), file, { dtype });
    await using half = await loadModel(file, { device: "cpu", threads: 1, dtype });
    // More than the 1,024 tokens from which the matrices of a block are widened together.
    const rows = Array.from({ length: 80 }, (_, row) => randomTokens(16, half.config.vocabularySize, row));
    const options = { prefixLength: 8, metrics: ["suffixLogLikelihood"] } as const;
    for (const bypass of [undefined, { blocks: [1], part: "mlp" }, { blocks: [0], mode: "short-circuit" }] as const) {
      const score = async (memory?: number) => {
        const { perRow } = await half.scoreMemorization(rows, {
          ...options,
          ...(bypass && { bypass }),
          ...(memory && { memory }),
        });
        return perRow.map((row) => row.suffixLogLikelihood);
      };
      const [together, alone] = [await score(), await score(1)];
      const largest = Math.max(...together.map((value, row) => Math.abs(value - (alone[row] as number))));
      // Only where libtorch computes in half precision itself do the sizes of products matter this much.
      t.ok(
        largest < (half.deviceReason.includes("computes in float32") ? 1e-4 : 0.1),
        `${name}: differs by ${largest}`,
      );
      t.ok(new Set(together).size > 40, "rows differ");
    }
  }
});
