// What the command line does where something fails or ends it: one line, the code, the exit code.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { plainly, root } from "./support/child.ts";
import {
  attentionBypass,
  deviceLine,
  finish,
  generate,
  model,
  outcome,
  perplexity,
  program,
  pythia,
  row,
  start,
  sweepFile,
  withStudy,
} from "./support/command-line.ts";
import { temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(600_000);

const invalid = "INVALID_ARGUMENT";
const failures: [exitCode: number, code: string, ...args: string[]][] = [
  [2, invalid, "sing"],
  [2, invalid, "generate"],
  [2, invalid, ...generate, "--loud"],
  [2, invalid, ...generate, "a prompt too"],
  [2, invalid, "generate", model],
  [2, invalid, "generate", model, "--tokens", "1,b"],
  [2, invalid, "generate", model, "--tokens", ""],
  [2, invalid, ...generate, "--temperature", "-1"],
  [2, invalid, ...generate, "--temperature", "warm"],
  [2, invalid, ...generate, "--seed", "1.5"],
  [2, invalid, ...generate, "--dtype", "int8"],
  [2, invalid, ...generate, "--device", "tpu"],
  [2, invalid, ...generate, "--mode", "zero"],
  [2, invalid, ...generate, "--bypass", "q5"],
  [2, invalid, ...generate, "--bypass", "0,q4"],
  [2, invalid, ...generate, "--bypass", "2-1"],
  [2, "BLOCK_OUT_OF_RANGE", ...generate, "--bypass", "3"],
  [2, "BLOCK_OUT_OF_RANGE", ...generate, "--bypass", "3-"],
  [2, "BLOCK_DUPLICATE", ...generate, "--bypass", "0-1,1"],
  [2, "TOKEN_OUT_OF_RANGE", "generate", model, "--tokens", "67"],
  [2, "CONTEXT_TOO_LONG", ...generate, "--max-new-tokens", "44"],
  [2, invalid, "memorization", model],
  [2, invalid, "memorization", model, "--samples", "x.npy", "--metrics", "luck"],
  [3, "FILE_NOT_FOUND", "memorization", model, "--samples", "x.npy"],
  [2, invalid, "sweep", model],
  [2, invalid, "convert", model, "x.safetensors"],
  [2, invalid, "convert", model, "x.gguf"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--over", "layers"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--over", "blocks,layers"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--over", "random:2"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--over", "random:a:1"],
  [2, invalid, "sweep", model, "--text", "x.txt", "--over", "random:0:1"],
  [2, invalid, "sweep", model, "--text", "x.txt", "--control", "x.npy"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--survey", "-1"],
  [2, invalid, "sweep", "nowhere", "--samples", "x.npy", "--report", "report.pdf"],
  [3, "FILE_NOT_FOUND", "sweep", model, "--samples", "x.npy"],
  [3, "FILE_NOT_FOUND", "sweep", model, "--task", "x.jsonl"],
  [3, "FILE_NOT_FOUND", "sweep", model, "--samples", "x.npy", "--over", "pairs", "--heads", "0.1"],
  [2, invalid, "sweep", model, "--samples", "x.npy", "--tasks", "piqa"],
  [2, invalid, "paper", model],
  [2, invalid, "paper", model, "--samples", "x.npy"],
  [3, "FILE_NOT_FOUND", "paper", model, "--samples", "x.npy", "--data", "."],
  [2, invalid, "benchmark", model],
  [2, invalid, "benchmark", model, "--tasks", "piqa"],
  [3, "FILE_NOT_FOUND", "benchmark", model, "--tasks", "piqa", "--data", "nowhere"],
  [3, "FILE_NOT_FOUND", "benchmark", model, "--tasks", "poetry", "--data", "."],
  [2, invalid, ...generate, "--heads", "1"],
  [2, "HEAD_OUT_OF_RANGE", ...generate, "--heads", "1.4"],
  [2, "HEAD_DUPLICATE", ...generate, "--heads", "1.2,1.2"],
  [2, invalid, ...generate, "--bypass", "0", "--mode", "mean"],
  [2, invalid, ...generate, "--bypass", "0", "--mean-samples", "x.npy"],
  [3, "FILE_NOT_FOUND", ...generate, "--bypass", "0", "--mode", "mean", "--mean-samples", "x.npy"],
  [3, "FILE_NOT_FOUND", "recommend", "nowhere.json"],
  [3, "SWEEP_INVALID", "recommend", path.join(root, "package.json")],
  [2, invalid, "recommend", path.join(root, "package.json"), "--tolerance", "much"],
  [3, "FILE_NOT_FOUND", "generate", "nowhere", "--tokens", "1"],
  [3, "FILE_NOT_FOUND", "perplexity", model, "nowhere.txt"],
  [3, "TOKENIZER_MISSING", "generate", model, "hello"],
  [3, "TOKENIZER_MISSING", "perplexity", model, path.join(root, "package.json"), "--limit-tokens", "5"],
  [3, "CONFIG_MISSING", "convert", path.join(root, "test"), "x.pt"],
  [4, "DEVICE_UNAVAILABLE", "generate", model, "--tokens", "1", "--device", "cuda:99"],
  [4, "WRITE_FAILED", "convert", model, "/nowhere/at/all.pt"],
  // Before all that takes long.
  [4, "WRITE_FAILED", "sweep", "nowhere", "--samples", "x.npy", "--output", "/nowhere/at/all.json"],
  [4, "WRITE_FAILED", "sweep", "nowhere", "--samples", "x.npy", "--report", "/nowhere/at/all.html"],
  [4, "WRITE_FAILED", "paper", "nowhere", "--samples", "x.npy", "--report", "/nowhere/at/all.html"],
];

t.test("failures: one line, its code, the exit code", async (t) => {
  const inJson = new Set<string>();
  for (const [exitCode, code, ...args] of failures) {
    const human = await attentionBypass(...args);
    t.match(human, { exitCode, output: "" }, args.join(" "));
    t.match(human.errors, new RegExp(`^attention-bypass: \\S.* \\[${code}\\]\\n$`));
    // JSON says the same of every failure, so that one of each code and command is asked for it.
    const kind = `${code} ${args[0]}`;
    if (inJson.has(kind)) continue;
    inJson.add(kind);
    const json = await attentionBypass(...args, "--json");
    t.match(json, { exitCode, output: "" });
    const { error } = JSON.parse(json.errors);
    t.same(Object.keys(error), ["code", "message"]);
    t.equal(error.code, code);
    t.equal(`attention-bypass: ${error.message} [${code}]\n`, human.errors);
  }
});

t.test("messages name the options of the command line, and say what to do", async (t) => {
  const says = async (wanted: RegExp, ...args: string[]) => {
    const { exitCode, errors } = await attentionBypass(...args);
    t.equal(exitCode, 2, args.join(" "));
    t.match(errors, wanted);
  };
  const samples = path.join(await temporaryFolder(t), "rows.jsonl");
  await writeFile(samples, `${JSON.stringify({ tokens: row })}\n${JSON.stringify({ text: row })}\n`);
  await says(/expected \w.* for --temperature but received -1 /, ...generate, "--temperature", "-1");
  await says(
    /a percentage from 0 up for --perplexity-tolerance but received -1 /,
    "recommend",
    sweepFile,
    "--perplexity-tolerance=-1",
  );
  await says(/ for --stride but received 99 /, ...perplexity, "--stride", "99");
  await says(/for --context-length but received 9999 /, ...perplexity, "--context-length", "9999");
  await says(/for --bypass /, ...generate, "--bypass", "3");
  await says(/: expected at least one of --samples, --text, --tasks and --task /, "sweep", model);
  await says(
    /; write a prompt that begins with - after --, as in generate MODEL -- "-text" /,
    "generate",
    model,
    "- a list",
  );
  await says(/ in quotes /, "generate", model, "several", "words");
  await says(/'swep' \(Did you mean sweep\?\)/, "swep");
  await says(/'--prefixlength' .*--prefix-length/, "memorization", model, "--samples", "x.npy", "--prefixlength", "3");
  await says(
    /expected a value for --samples but received the option --rows; write --samples=--rows /,
    ...["memorization", model, "--samples", "--rows", "5"],
  );
  await says(/argument missing/, "memorization", model, "--samples");
  await says(
    /ends in \.json, \.csv or \.txt for --output but received sweep\.out; use one of these endings, or add --json or --csv/,
    ...[...["sweep", model, "--samples", "x.npy", "--output", "sweep.out"]],
  );
  await says(
    /ends in \.csv with --csv but received sweep\.json; omit one/,
    ...["sweep", model, "--samples", "x.npy", "--output", "sweep.json", "--csv"],
  );
  await says(/for --report but received "report.pdf"/, "sweep", model, "--samples", "x.npy", "--report", "report.pdf");
  await says(/for --output but received "report.pdf"/, "report", sweepFile, "--output", "report.pdf");
  await says(/expected --output .* with --figure/, "report", sweepFile, "--figure", "by-block");
  await says(/x\.safetensors, the name of safetensors; .* such as x\.pt/, "convert", model, "x.safetensors");
  const plain = await attentionBypass("generate", model, "--loud", "--", "--json");
  t.match(plain.errors, /^attention-bypass: /, "a word after -- is no option");
});

t.test("without a command: the help, as an error", async (t) => {
  const { exitCode, output, errors } = await attentionBypass();
  t.match({ exitCode, output }, { exitCode: 2, output: "" });
  t.match(errors, "Usage: attention-bypass");
});

t.test("without a libtorch", async (t) => {
  const { exitCode, output, errors } = await finish(start(generate, { ATTENTION_BYPASS_LIBTORCH: "/nowhere" }));
  t.match({ exitCode, output }, { exitCode: 4, output: "" });
  t.match(errors, /^attention-bypass: .* \[LIBTORCH_NOT_FOUND\]\n$/);
});

t.test("a reader who leaves is no failure", async (t) => {
  for (const args of [generate, ["--help"]]) {
    const child = start(args);
    child.stdout.destroy();
    const [errors, ended] = await Promise.all([text(child.stderr), once(child, "close")]);
    t.same([errors.replace(deviceLine, ""), ended], ["", [0, null]]);
  }
});

t.test(
  "output that can't be written is a failure",
  { skip: !existsSync("/dev/full") && "there is no /dev/full" },
  async (t) => {
    const child = spawn(
      "env",
      plainly("bash", "-c", '"$@" > /dev/full', "bash", process.execPath, program, ...generate),
    );
    const { exitCode, errors } = await finish(child);
    t.equal(exitCode, 4);
    t.match(errors, "[DISK_FULL]");
  },
);

t.test("signals end the reading of standard input", async (t) => {
  for (const [signal, exitCode] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const child = start(["generate", model, "-", "--json"]);
    child.stdin.on("error", () => {});
    // More than a pipe holds: once it is written, the program reads.
    await new Promise((resolve) => child.stdin.write(Buffer.alloc(1 << 20), resolve));
    child.kill(signal);
    t.same(await outcome(child), { exitCode, output: "", errors: "" });
  }
});
t.test("SIGINT ends a generation", withStudy, async (t) => {
  const long = ["generate", pythia, "--tokens", "1,2", "--max-new-tokens", "510", "--no-stop-at-end-of-text"];
  const child = start(long);
  const [[first]] = await Promise.all([once(child.stdout, "data"), once(child, "spawn")]);
  child.kill("SIGINT");
  const { exitCode, output, errors } = await finish(child);
  t.match({ exitCode, errors }, { exitCode: 130, errors: "" });
  t.ok(`${first}${output}`.split(" ").length < 510, "not all of it");
});

t.test("SIGINT ends a conversion and leaves no file", withStudy, async (t) => {
  const folder = await temporaryFolder(t);
  const child = start(["convert", pythia, path.join(folder, "model.pt")]);
  let ended = false;
  child.once("close", () => {
    ended = true;
  });
  // The unfinished file says that the work has begun.
  while (!ended && (await readdir(folder)).length === 0) await new Promise(setImmediate);
  child.kill("SIGINT");
  const { exitCode } = await finish(child);
  const left = await readdir(folder);
  if (exitCode === 0) t.same(left, ["model.pt"], "it was faster than the signal");
  else t.same({ exitCode, left }, { exitCode: 130, left: [] });
});
