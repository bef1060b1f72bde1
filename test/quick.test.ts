// The tests that `npm run test:quick` runs leave no public call out.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as all from "attention-bypass";
import t from "tap";
import { quickTests, slowTests } from "../scripts/quick-tests.mjs";
import { root } from "./support/child.ts";
import { fixture } from "./support/fixtures.ts";

t.test("every function of the package and every method of a model is called", async (t) => {
  await using model = await all.loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const { AttentionBypassError: _, ...exported } = all;
  const { constructor: __, ...methods } = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(model));
  const calls = [
    ...Object.entries(exported).filter(([, value]) => typeof value === "function"),
    ...Object.entries(methods).filter(([, { value }]) => typeof value === "function"),
  ].map(([name]) => name);
  const own = path.join("test", path.basename(import.meta.filename));
  const texts = quickTests().map((file) => (file === own ? "" : readFileSync(path.join(root, file), "utf8")));
  t.ok(calls.includes("convert") && calls.includes("generate"));
  for (const name of calls) {
    const called = new RegExp(`\\b${name}\\(`);
    t.ok(
      texts.some((text) => called.test(text)),
      name,
    );
  }
});

t.test("the files that are left out are there, for a reason", async (t) => {
  for (const [name, reason] of Object.entries(slowTests)) {
    t.ok(existsSync(path.join(root, "test", name)), name);
    t.ok(reason.length > 10, `${name}: ${reason}`);
  }
});
