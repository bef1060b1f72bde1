// Names and texts from outside can't speak to the terminal that an error message or a table is printed to.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { embeddedModel, loadModel } from "attention-bypass";
import t from "tap";
import { root, runCommand } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { type Anything, refuses } from "./support/refusals.ts";

t.setTimeout(120_000);

const escapes = "\u001b]0;title\u0007\u009b31m\u202e";
const shown = "\\u001b]0;title\\u0007\\u009b31m\\u202e";
/** Control characters but the line break and the tab, and the mark that turns text round. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;

t.test("in error messages", async (t) => {
  await refuses(t, "a path", () => loadModel(`/nowhere/${escapes}`), "FILE_NOT_FOUND", shown);
  await refuses(t, "an argument", async () => embeddedModel(escapes as Anything), "INVALID_ARGUMENT", shown);
});

t.test("on the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const cli = (...args: string[]) => runCommand([process.execPath, path.join(root, "dist", "cli.js"), ...args]);
  const named = path.join(folder, `${escapes}.jsonl`);
  await writeFile(named, `${JSON.stringify({ query: [1], choices: [[1], [2]], gold: 0 })}\n`);
  const printed = await cli("benchmark", fixture("neox-serial"), "--device", "cpu", "--task", named);
  t.equal(printed.code, 0, printed.stderr);
  t.notMatch(printed.stdout, unseen);
  t.ok(printed.stdout.includes(shown), printed.stdout);
  const failed = await cli("report", `nowhere${escapes}.json`);
  t.equal(failed.code, 3);
  t.notMatch(failed.stderr, unseen);
  t.ok(failed.stderr.includes(shown), failed.stderr);
});
