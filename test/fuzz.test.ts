// A minute of scripts/fuzz.mjs: mutated files of every format and hostile calls end in errors with codes.
import path from "node:path";
import t from "tap";
import { root, runCommand } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(600_000);

// A seed that is not the one that the script takes by itself, so that both see different files.
const runs: Record<string, string[]> = {
  "mutated files": ["--seed", "14", "--minutes", "0.8"],
  "hostile calls": ["--seed", "14", "--minutes", "0.3", "--calls"],
};

for (const [name, args] of Object.entries(runs)) {
  t.test(name, async (t) => {
    const script = path.join(root, "scripts", "fuzz.mjs");
    const kept = await temporaryFolder(t);
    const { code, stdout, stderr } = await runCommand(
      [process.execPath, script, "--jobs", "1", "--kept", kept, ...args],
      { timeout: 500_000 },
    );
    t.equal(code, 0, stdout.slice(-8000) || stderr.slice(-2000));
    const count = Number(/all\s*│\s*(\d+)/.exec(stdout)?.[1]);
    t.ok(count >= 50, `${count} were tried`);
  });
}

// The fuzzer itself must see faults, or it would see none in the package either.
t.test("what the fuzzer looks for is found", async (t) => {
  const { watchGlobals } = await import("../scripts/fuzz/fingerprint.mjs");
  const changed = watchGlobals();
  t.equal(changed(), undefined);
  Object.defineProperty(Object.prototype, "hostile", { value: 1, configurable: true });
  t.match(changed(), /hostile came/);
  Reflect.deleteProperty(Object.prototype, "hostile");
  Object.assign(globalThis, { hostileGlobal: 1 });
  t.match(changed(), /hostileGlobal came/);
  Reflect.deleteProperty(globalThis, "hostileGlobal");
  t.equal(changed(), undefined);
});
