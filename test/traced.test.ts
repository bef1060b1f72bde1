// TorchScript modules by somebody else: what runs of them, and when.
import { execFile } from "node:child_process";
import path from "node:path";
import { inspect, promisify } from "node:util";
import { convert, loadModel } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";

const hostile = shared("hostile");
const place = (name: string) => path.join(hostile as string, name);

t.test("a traced module that agrees with its weights is trusted or unchecked", async (t) => {
  for (const name of ["traced-neox", "traced-neox-fixed-length", "traced-neo"]) {
    await using unchecked = await loadModel(fixture(name), { device: "cpu" });
    t.match(inspect(unchecked), /, unchecked/, name);
    await using checked = await loadModel(fixture(name), { device: "cpu", trust: true });
    t.notMatch(inspect(checked), /unchecked/, name);
    t.same(await checked.logits([1, 2, 3]), await unchecked.logits([1, 2, 3]), name);
  }
});

t.test("an archive says whether anybody has checked the module that it was made of", async (t) => {
  const folder = await temporaryFolder(t);
  for (const trust of [false, true]) {
    const archive = path.join(folder, `${trust}.pt`);
    await convert(fixture("traced-neox"), archive, { trust });
    await using model = await loadModel(archive, { device: "cpu" });
    t.equal(/unchecked/.test(inspect(model)), !trust);
  }
  const archive = path.join(folder, "checkpoint.pt");
  await convert(fixture("neox-serial"), archive);
  await using model = await loadModel(archive, { device: "cpu" });
  t.notMatch(inspect(model), /unchecked/, "a checkpoint has no code");
});

t.test("no code of a hostile module runs unasked", { skip: hostile === undefined && skipReason }, async (t) => {
  const script = `
    const { loadModel } = await import("attention-bypass");
    for (const place of process.argv.slice(1)) {
      await using model = await loadModel(place, { device: "cpu" });
      await model.generate([1, 2, 3], { maxNewTokens: 2 });
    }`.replace("await using model", "const model");
  const names = ["traced-loop", "traced-wild", "traced-raises", "traced-prints"].map(place);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, ...names], {
    cwd: path.join(import.meta.dirname, ".."),
    timeout: 60_000,
  });
  t.equal(stdout, "");
});

t.test(
  "a hostile module that is trusted harms its own process only",
  { skip: hostile === undefined && skipReason },
  async (t) => {
    const load = (name: string, signal?: AbortSignal) => () =>
      loadModel(place(name), { device: "cpu", trust: true, ...(signal && { signal }) });
    await refuses(t, "wild", load("traced-wild"), "TRACE_FAILED", "ended its process by SIG", "trust");
    await refuses(t, "raises", load("traced-raises"), "TRACE_DISAGREES", "second");
    const prints = await load("traced-prints")();
    t.notMatch(inspect(prints), /unchecked/);
    await prints.dispose();
    // What never ends by itself is ended by its time limit, which is a minute, or by the caller.
    const begun = performance.now();
    const error = await load("traced-loop", AbortSignal.timeout(3000))().catch((reason: unknown) => reason);
    t.equal((error as Error).name, "TimeoutError");
    t.ok(performance.now() - begun < 15_000);
  },
);

t.test("a module whose text overflows the parser", { skip: hostile === undefined && skipReason }, async (t) => {
  const deep = place("torchscript-deep-paren-20000");
  const model = await loadModel(deep, { device: "cpu" });
  t.match(inspect(model), /unchecked/);
  await model.dispose();
  await refuses(t, "trusted", () => loadModel(deep, { device: "cpu", trust: true }), "TRACE_FAILED");
});
