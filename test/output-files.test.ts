// Every file that is written appears whole or not at all, and a full disk is said to be one.
import { execFileSync } from "node:child_process";
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { convert, createReport, loadModel, writeReport } from "attention-bypass";
import t from "tap";
import { root, runCommand } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { madeUpSweep } from "./support/made-up-sweep.ts";
import { refuses } from "./support/refusals.ts";

t.setTimeout(300_000);

const report = { ...createReport(madeUpSweep([80, 90], [[20, 80]])), figures: [] };
const large = { ...report, description: "x".repeat(2 ** 20) };
const program = path.join(root, "dist", "cli.js");
const model = fixture("neox-serial");
const sweepCommand = [process.execPath, program, "sweep", model, "--device", "cpu", "--bypass", "0"];

/** Mounts a disk of so many bytes. Returns why it can't, where it can't. */
function mountSmallDisk(folder: string, bytes: number): string | undefined {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder], { stdio: "ignore" });
    return undefined;
  } catch {
    return "a disk can't be mounted here";
  }
}

const disk = path.join(await temporaryFolder(t), "disk");
await mkdir(disk);
const refusal = mountSmallDisk(disk, 64 * 1024);

t.test("on a full disk", { skip: refusal ?? false }, async (t) => {
  const folder = disk;
  t.after(() => void execFileSync("umount", ["-l", folder]));
  const at = (name: string) => path.join(folder, name);
  const samples = path.join(await temporaryFolder(t), "samples.jsonl");
  await writeFile(samples, `${JSON.stringify({ prefix: [1, 2], suffix: [3, 4] })}\n`.repeat(600));
  await writeFile(at("report.md"), "before");
  await refuses(t, "a report", () => writeReport(large, at("report.html")), "DISK_FULL", at("report.html"));
  await refuses(t, "one that replaces", () => writeReport(large, at("report.md")), "DISK_FULL", at("report.md"));
  await refuses(t, "an archive", () => convert(model, at("model.pt")), "DISK_FULL", at("model.pt"));
  const checkpoint = () => convert(model, at("folder"), { format: "checkpoint" });
  await refuses(t, "a checkpoint", checkpoint, "DISK_FULL", at("folder"));
  const outcome = await runCommand([...sweepCommand, "--samples", samples, "--output", at("sweep.json"), "--json"]);
  t.equal(outcome.code, 4, outcome.stderr);
  t.match(outcome.stderr, "DISK_FULL");
  await using loaded = await loadModel(model, { device: "cpu", threads: 1 });
  const many = Array.from({ length: 4000 }, () => [1, 2, 3, 4]);
  const sweep = () => loaded.sweep({ samples: many, prefixLength: 2, metrics: ["exactMatch"], resume: at("resume") });
  await refuses(t, "a resume file", sweep, "DISK_FULL", at("resume"));
  t.same((await readdir(folder)).sort(), ["report.md", "resume"], "nothing else is left");
  t.equal(await readFile(at("report.md"), "utf8"), "before");
});

t.test("what was there is replaced as what it is", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  await writeFile(at("real.md"), "before");
  await chmod(at("real.md"), 0o600);
  await symlink("real.md", at("link.md"));
  await writeReport(report, at("link.md"));
  t.ok((await lstat(at("link.md"))).isSymbolicLink(), "a link stays one");
  t.match(await readFile(at("real.md"), "utf8"), report.title);
  t.equal((await stat(at("real.md"))).mode & 0o777, 0o600, "permissions stay");
  await symlink("/dev/null", at("device.md"));
  await writeReport(report, at("device.md"));
  t.ok((await stat("/dev/null")).isCharacterDevice(), "a device stays one");
  t.same((await readdir(folder)).sort(), ["device.md", "link.md", "real.md"]);
});

t.test("a sweep that fails leaves no file of its output", async (t) => {
  const folder = await temporaryFolder(t);
  const output = path.join(folder, "sweep.json");
  const nowhere = path.join(folder, "nowhere.npy");
  const outcome = await runCommand([...sweepCommand, "--samples", nowhere, "--prefix-length", "2", "--output", output]);
  t.equal(outcome.code, 3, outcome.stderr);
  t.same(await readdir(folder), []);
});
