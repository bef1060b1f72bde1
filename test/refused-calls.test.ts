// A call that is refused leaves nothing behind: no file, no change in the model, no other call held up.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel, type Model } from "attention-bypass";
import t from "tap";
import { copyOf, fixture, temporaryFolder } from "./support/fixtures.ts";
import { all, refusedBy } from "./support/refusals.ts";

t.setTimeout(300_000);

const place = fixture("neox-serial");
const model = await loadModel(place, { device: "cpu" });
t.after(() => model.dispose());
const good = await model.logits([1, 2, 3]);
const refused = await refusedBy(model);

t.test("after dispose", async (t) => {
  const model = await loadModel(place, { device: "cpu" });
  const running = model.logits([1, 2, 3]);
  const disposed = model.dispose();
  const uses: Record<string, () => Promise<unknown>> = {
    logits: () => model.logits([1]),
    generate: () => model.generate([1]),
    "generate of prompts": () => model.generate([[1], [2]]),
    stream: async () => all(model.stream([1])),
    perplexity: () => model.perplexity([1, 2]),
    scoreMemorization: () => model.scoreMemorization([[1, 2]], { prefixLength: 1 }),
    sweep: () => model.sweep({ samples: [[1, 2]], prefixLength: 1 }),
    effects: () => model.effects([[1, 2]], { prefixLength: 1 }),
    benchmark: () => model.benchmark({ name: "own", questions: [{ query: [1], choices: [[1], [2]], gold: 0 }] }),
    attention: () => model.attention([[1, 2]]),
    divergence: () => model.divergence([1, 2], { bypass: { blocks: [0] } }),
  };
  for (const [name, use] of Object.entries(uses)) await refused(t, `${name} during it`, use, "DISPOSED", "disposed");
  await disposed;
  t.same(await running, good, "what ran before it ends well");
  for (const [name, use] of Object.entries(uses)) await refused(t, name, use, "DISPOSED", "disposed");
  await model.dispose();
  await model[Symbol.asyncDispose]();
  t.equal(model.config.blockCount, 3, "what it was can still be read");
});

/** The files of a folder with what is in them. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(path.join(folder, name))).toString("latin1")] as const),
    ),
  );
}

t.test("a conversion that can't be written leaves nothing behind", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "taken"));
  await writeFile(path.join(folder, "file"), "content");
  const places = ["missing/model.pt", "taken", "taken/", "file/model.pt", `${"x".repeat(300)}.pt`];
  for (const place of places.map((name) => `${folder}/${name}`)) {
    const call = () => convert(fixture("neox-serial"), place);
    await refused(t, path.basename(place).slice(0, 20), call, "WRITE_FAILED", place);
    t.same(await contents(folder), { file: "content" }, "nothing more is there");
    t.same(await readdir(path.join(folder, "taken")), []);
  }
});

t.test("a conversion that fails leaves the file that was there", async (t) => {
  const folder = await temporaryFolder(t);
  const to = path.join(folder, "model.pt");
  await writeFile(to, "before");
  const spoiled = await copyOf("neox-serial", t);
  await writeFile(path.join(spoiled, "config.json"), "{}");
  await refused(t, "convert", () => convert(spoiled, to), "ARCHITECTURE_UNSUPPORTED", spoiled);
  t.same(await contents(folder), { "model.pt": "before" });
});

t.test("refusals hold up no other call", async (t) => {
  const results = await Promise.allSettled([
    model.logits([1, 2, 3]),
    model.logits([99]),
    model.generate([1], { bypass: { blocks: [9] } }),
    model.logits([1, 2, 3]),
    model.perplexity([1]),
  ]);
  t.same(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "rejected", "fulfilled", "rejected"],
  );
  t.same((results[3] as PromiseFulfilledResult<Awaited<ReturnType<Model["logits"]>>>).value, good);
});
