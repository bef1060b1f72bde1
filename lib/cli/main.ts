#!/usr/bin/env node
import { Command } from "commander";
import { packageVersion } from "../addon/addon.js";
import { outputWidth } from "../display/output-width.js";
import { addBenchmark } from "./benchmark.js";
import { addConvert } from "./convert.js";
import { addDoctor } from "./doctor.js";
import { addDownload } from "./download.js";
import { addEffects } from "./effects.js";
import { exitCodesHelp } from "./exit-codes.js";
import { toFailure } from "./failure.js";
import { addGenerate } from "./generate.js";
import { interruptedExitCode, untilInterrupted } from "./interruption.js";
import { addMemorization } from "./memorization.js";
import { checkValues } from "./missing-values.js";
import { addPaper } from "./paper.js";
import { addPerplexity } from "./perplexity.js";
import { addRecommend } from "./recommend.js";
import { addReport } from "./report.js";
import { addScan } from "./scan.js";
import { addServe } from "./serve.js";
import { addSetup } from "./setup.js";
import { addSweep } from "./sweep.js";

const examples = `
Examples:
  $ attention-bypass doctor
  $ attention-bypass generate ./pythia-160m "It was the best of times" \\
      --bypass q4
  $ attention-bypass memorization ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --bypass 7
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32
  $ attention-bypass perplexity EleutherAI/pythia-160m text.txt`;

function createProgram(signal: AbortSignal): Command {
  const program = new Command("attention-bypass")
    .description(
      "Runs Pythia, GPT-Neo and GPT-2 models with the attention of chosen transformer blocks bypassed, and measures " +
        "the effect on generation, perplexity, memorization and benchmarks.",
    )
    .version(packageVersion)
    // setup has its own --version.
    .enablePositionalOptions()
    .exitOverride()
    // `report` below prints all failures.
    .configureOutput({ outputError: () => {}, getOutHelpWidth: outputWidth, getErrHelpWidth: outputWidth })
    .addHelpText("after", examples)
    .addHelpText("after", exitCodesHelp);
  addGenerate(program, signal);
  addPerplexity(program, signal);
  addMemorization(program, signal);
  addBenchmark(program, signal);
  addScan(program, signal);
  addSweep(program, signal);
  addEffects(program, signal);
  addPaper(program, signal);
  addReport(program);
  addRecommend(program);
  addServe(program, signal);
  addConvert(program, signal);
  addDownload(program, signal);
  addSetup(program, signal);
  addDoctor(program);
  return program;
}

function report(failure: { code: string; message: string }, args: readonly string[]): void {
  const end = args.indexOf("--");
  const json = args.slice(0, end < 0 ? undefined : end).includes("--json");
  const line = json ? JSON.stringify({ error: failure }) : `attention-bypass: ${failure.message} [${failure.code}]`;
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  // A closed pipe is not a failure; `print` reports other write errors.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const signal = untilInterrupted();
  const args = process.argv.slice(2);
  try {
    const program = createProgram(signal);
    checkValues(program, args);
    await program.parseAsync();
  } catch (error) {
    const interrupted = interruptedExitCode(signal);
    const failure = toFailure(error, args);
    if (interrupted === undefined && failure.report) report(failure.report, args);
    process.exitCode = interrupted ?? failure.exitCode;
  }
}

void main();
