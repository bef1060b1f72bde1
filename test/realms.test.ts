// Jest and Vitest run tests in contexts with built-in classes of their own, which are neither the addon's nor Node's.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import vm from "node:vm";
import { loadModel } from "attention-bypass";
import t from "tap";
import { root } from "./support/child.ts";
import { fixture } from "./support/fixtures.ts";
import type { Anything } from "./support/refusals.ts";

t.setTimeout(120_000);

const place = fixture("neox-serial");
const context = vm.createContext({
  process,
  AbortController,
  Buffer,
  URL,
  performance,
  setTimeout,
  clearTimeout,
  TextDecoder,
  TextEncoder,
});
const foreign = (code: string): Anything => vm.runInContext(code, context);

t.test("arguments of another context are taken", async (t) => {
  await using model = await loadModel(place, foreign("({ device: 'cpu', threads: 1 })"));
  const expected = await model.logits([1, 2, 3]);
  for (const tokens of ["[1, 2, 3]", "Int32Array.of(1, 2, 3)", "BigInt64Array.of(1n, 2n, 3n)"]) {
    t.same(await model.logits(foreign(tokens)), expected, tokens);
  }
  const samples = foreign("[{ prefix: Int32Array.of(1, 2), suffix: [3] }, Int32Array.of(1, 2, 3)]");
  const one = [1, 2, 3];
  t.same(
    (await model.scoreMemorization(samples, foreign("({ prefixLength: 2 })"))).perRow,
    (await model.scoreMemorization([one, one], { prefixLength: 2 })).perRow,
  );
  const questions = foreign("[{ query: Int32Array.of(1), choices: [Int32Array.of(2), [3]], gold: 0 }]");
  t.equal((await model.benchmark({ name: "own", questions })).own?.questions, 1);
  const mine = foreign("new Error('mine')");
  const thrown = model.logits([1], {
    onProgress() {
      throw mine;
    },
  });
  t.equal(await thrown.catch((error: unknown) => error), mine, "errors too");
});

/** CommonJS in the context, as Jest has it: the package's files inside, and Node's modules and addons outside. */
class Inside {
  readonly #loaded = new Map<string, { exports: Anything }>();

  load(file: string): Anything {
    const known = this.#loaded.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    this.#loaded.set(file, module);
    const outside = createRequire(file);
    const require = (name: string) => {
      const found = /^[.#]/.test(name) ? outside.resolve(name) : name;
      return /\.c?js$|\.cts$/.test(found) && path.isAbsolute(found) ? this.load(found) : outside(name);
    };
    const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, "utf8")}\n})`;
    const run = vm.runInContext(source, context, { filename: file });
    run(module.exports, Object.assign(require, { resolve: outside.resolve }), module, file, path.dirname(file));
    return module.exports;
  }
}

t.test("results of a package that is loaded in a context are of that context", async (t) => {
  const { loadModel, AttentionBypassError } = new Inside().load(path.join(root, "dist", "index.cjs"));
  const model = await loadModel(place, { device: "cpu", threads: 1 });
  const isA = (value: unknown, name: string, what: string) => t.ok(value instanceof foreign(name), `${what}: ${name}`);
  isA((await model.logits([1, 2])).data, "Float32Array", "logits");
  const { blocks, means } = await model.attention([[1, 2]]);
  isA(blocks, "Array", "attention");
  isA(blocks[0].heads, "Array", "heads");
  isA(means.blocks, "Array", "means");
  isA(means.blocks[0], "Float32Array", "a block's means");
  isA((await model.divergence([1, 2], { bypass: { blocks: [0] } })).blocks, "Array", "divergence");
  const { bypasses } = await model.effects([[1, 2]], { prefixLength: 1 });
  isA(bypasses, "Array", "effects");
  isA(bypasses[0].contributions.mlp, "Array", "contributions");
  isA((await model.generate([1, 2], { maxNewTokens: 1 })).tokens, "Array", "generate");
  const refused = await loadModel(path.join(place, "nowhere")).catch((error: unknown) => error);
  t.ok(refused instanceof AttentionBypassError, String(refused));
  t.equal(refused.code, "FILE_NOT_FOUND", "errors of Node are known, whose class is another");
  await model.dispose();
});
