// The command line as a process, and the arguments that its tests use.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { Test } from "tap";
import { plainly, root } from "./child.ts";
import { type ExpectedCase, fixture, readExpected } from "./fixtures.ts";
import { shared, skipReason } from "./shared.ts";

export const program = path.join(root, "dist", "cli.js");

export interface Result {
  exitCode: number | null;
  output: string;
  errors: string;
  log: string;
}

export const deviceLine = /^attention-bypass: .* in \w+ on (cpu|cuda:\d+), .*\n/;

export function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  // Two test files run at a time, so that each has one core.
  const env = { ...process.env, OMP_NUM_THREADS: "1", ...environment };
  return spawn("env", plainly(process.execPath, program, ...args), { env });
}

export async function finish(child: ChildProcessWithoutNullStreams): Promise<Result> {
  const [output, errors, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  // Errors are what is left without the line about the device that a log begins with.
  return { exitCode, output, errors: errors.replace(deviceLine, ""), log: errors };
}

/** The same without what a log has. */
export async function outcome(child: ChildProcessWithoutNullStreams): Promise<Omit<Result, "log">> {
  const { exitCode, output, errors } = await finish(child);
  return { exitCode, output, errors };
}

export function attentionBypass(...args: string[]): Promise<Result> {
  const child = start(args);
  child.stdin.end();
  return finish(child);
}

/** What a call that must work prints, which is all that it says. */
export async function succeed(t: Test, ...args: string[]): Promise<string> {
  const { exitCode, output, errors } = await attentionBypass(...args);
  t.equal(exitCode, 0, `exit code of ${args.join(" ")}`);
  t.equal(errors, "");
  return output;
}

/** The one document of a call with --json. */
export async function succeedJson<Value>(t: Test, ...args: string[]): Promise<Value> {
  return JSON.parse(await succeed(t, ...args, "--json"));
}

export const model = fixture("neox-serial");
/** Any JSON: what it lacks is looked at after the options. */
export const sweepFile = path.join(root, "package.json");
export const expected = readExpected(model);
export const row = expected.input_ids[0] as number[];

export function expectedCase(tag: string): ExpectedCase {
  return expected.cases.find((item) => item.tag === tag) as ExpectedCase;
}

export const base = expectedCase("base");
export const prompt = row.slice(0, base.greedy_prompt_length);
export const greedy = (tag: string) => expectedCase(tag).greedy[0] as number[];
export const close = (actual: number, wanted: number) => Math.abs(actual / wanted - 1) <= 1e-4;

export const generate = [
  ...["generate", model, "--device", "cpu", "--tokens", prompt.join(",")],
  ...["--max-new-tokens", String(greedy("base").length), "--no-stop-at-end-of-text"],
];
export const perplexity = ["perplexity", model, "--device", "cpu", "--tokens", row.join(" ")];
export const study = shared("study");
export const tokenizers = shared("data", "tokenizers");
export const wikitext = shared("data", "text", "wikitext2.test.raw");
export const withStudy = { skip: !(study && tokenizers && wikitext) && skipReason };
export const pythia = path.join(study ?? "", "pythia-study");
export const gptNeo = path.join(study ?? "", "gpt-neo-study");
export const neoxTokenizer = path.join(tokenizers ?? "", "gpt-neox-20b.tokenizer.json");
