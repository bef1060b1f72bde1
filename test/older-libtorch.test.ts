// An addon for an older libtorch returns what the addon for the pinned libtorch returns.
import { strict as assert } from "node:assert";
import t from "tap";
import { versions } from "../scripts/compile.mjs";
import { existingOlderLibtorch } from "../scripts/older-libtorch.mjs";
import { runCommand } from "./support/child.ts";
import { fixture } from "./support/fixtures.ts";

t.setTimeout(600_000);

interface Results {
  version: string;
  logits: number[];
  tokens: number[][];
}

/** Results of one model without bypass and with attention replaced in two ways. */
const program = `
import { diagnose, loadModel } from "attention-bypass";
const model = await loadModel(process.argv.at(-1), { device: "cpu" });
const prompt = [5, 12, 15, 12, 53, 58, 39];
const logits = [], tokens = [];
for (const bypass of [undefined, { blocks: [0] }, { blocks: [1], mode: "short-circuit" }]) {
  logits.push(...(await model.logits([prompt], { bypass })).data);
  const [generation] = await model.generate([prompt], { maxNewTokens: 12, stopAtEndOfText: false, bypass });
  tokens.push(generation.tokens);
}
const { libtorch } = await diagnose();
console.log(JSON.stringify({ version: libtorch.version, logits, tokens }));
`;

async function results(name: string, libtorch?: string): Promise<Results> {
  const env = libtorch === undefined ? process.env : { ...process.env, ATTENTION_BYPASS_LIBTORCH: libtorch };
  const command = [process.execPath, "--input-type=module", "--eval", program, "--", fixture(name)];
  const { code, stdout, stderr } = await runCommand(command, { env });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Results;
}

const older = existingOlderLibtorch();
const skip =
  older === undefined && "needs an older libtorch, which `OLDER_LIBTORCH=1 npm test` downloads and compiles for";

for (const name of ["neox-serial", "neo-untied", "gpt2"]) {
  t.test(name, { skip }, async (t) => {
    const expected = await results(name);
    const actual = await results(name, older);
    t.match(actual.version, versions[2.12]);
    t.not(actual.version, expected.version);
    t.same(actual.tokens, expected.tokens, "greedy tokens");
    t.equal(actual.logits.length, expected.logits.length);
    // Kernels may add in another order from one version to the next.
    const largest = Math.max(...expected.logits.map(Math.abs));
    const off = Math.max(...expected.logits.map((logit, index) => Math.abs(logit - (actual.logits[index] as number))));
    t.ok(off <= 1e-5 * largest, "logits", { off, largest });
  });
}
