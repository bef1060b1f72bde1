import path from "node:path";
import type { Command } from "commander";
import { AttentionBypassError } from "../errors/errors.js";
import { isPaper } from "../paper/check-result.js";
import type { PaperResult } from "../paper/result.js";
import { toMarkdown } from "../report/markdown.js";
import { createPaperReport } from "../report/paper-report.js";
import { createReport, type Report } from "../report/report.js";
import { createScanReport } from "../report/scan-report.js";
import { createTrainingReport } from "../report/training-report.js";
import { reportFormat, writeReport } from "../report/write-report.js";
import { isRevisions } from "../revisions/check-result.js";
import type { AnyRevisionsResult } from "../revisions/result.js";
import { isScan } from "../scan/check-result.js";
import type { ScanResult } from "../scan/result.js";
import type { SweepResult } from "../sweep/result.js";
import { requireDistinct } from "./distinct-files.js";
import { print } from "./output.js";
import { readSweep } from "./sweep-file.js";

interface Options {
  compare?: string;
  name?: string;
  output?: string;
  figure?: string;
}

const examples = `
Confidence intervals are 95 %, by bootstrap over rows and questions. Without
--output, prints the tables as Markdown.

Figures, if the sweep has the data: by-block, by-quartile, trade-off, by-task,
by-head, distance, attention; for two sweeps also comparison. For the result of
sweep --revisions: over-training, tasks-over-training, bypasses-over-training.
For the result of paper: by-block, by-quartile, entropy, control, scale.
For the result of a scan: heat-map.

Examples:
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --tasks arc_easy,piqa --data ./tasks \\
      --over blocks,quartiles --survey 8 --output sweep.json
  $ attention-bypass report sweep.json --output report.html
  $ attention-bypass report sweep.json --output trade-off.png --figure trade-off
  $ attention-bypass report --compare larger.json sweep.json --output both.html`;

const nameOf = (file: string) => path.basename(file, path.extname(file));

/** Reads the second sweep. Its name is its path if both files have the same name. */
async function readOther(file: string, name: string) {
  return { name: nameOf(file) === name ? file : nameOf(file), sweep: await readSweep(file) };
}

interface Named {
  /** The name of the model: the option, or the name of the file. */
  name: string;
  /** The option. */
  given: string | undefined;
}

/** Returns what made a result that is not that of one sweep. */
function kindOf(read: object): "scan" | "sweep --revisions" | "paper" | undefined {
  if (isScan(read)) return "scan";
  if (isRevisions(read)) return "sweep --revisions";
  return isPaper(read) ? "paper" : undefined;
}

async function create(read: object, { name, given }: Named, compare: string | undefined): Promise<Report> {
  const kind = kindOf(read);
  if (kind === undefined) {
    const other = compare === undefined ? {} : { compare: await readOther(compare, name) };
    return createReport(read as SweepResult, { name, ...other });
  }
  if (compare !== undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected the result of one sweep with --compare but received that of ${kind}; omit --compare`,
    );
  }
  if (kind === "scan") return createScanReport(read as ScanResult, { name });
  if (kind === "sweep --revisions") return createTrainingReport(read as AnyRevisionsResult, { name });
  if (given === undefined) return createPaperReport(read as PaperResult);
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    "expected the result of one model with --name but received that of paper, whose models have names; omit --name",
  );
}

async function report(file: string, { compare, name, output, figure }: Options): Promise<void> {
  if (output !== undefined) reportFormat(output, "--output");
  else if (figure !== undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      "expected --output with a name that ends in .svg or .png with --figure but it is not given",
    );
  }
  await requireDistinct(
    [
      ["<sweep>", file],
      ["--compare", compare],
    ],
    [["--output", output]],
  );
  const sweep = await readSweep(file);
  const created = await create(sweep, { name: name ?? nameOf(file), given: name }, compare);
  if (output === undefined) await print(toMarkdown(created));
  else await writeReport(created, output, figure === undefined ? {} : { figure });
}

export function addReport(program: Command): void {
  program
    .command("report")
    .summary("write a report of a sweep or a scan")
    .description("Writes figures, tables and findings from the result of one sweep, of two, or of a scan.")
    .argument("<sweep>", "JSON result of a sweep or a scan")
    .option("--compare <sweep>", "JSON result of a second sweep to compare with")
    .option("--name <name>", "name of the model in the report (default: the file's name)")
    .option("--output <file>", "file to write: .html, .md with figures as separate files, .svg or .png")
    .option("--figure <name>", "figure to write to an .svg or .png file (default: the first)")
    .addHelpText("after", examples)
    .action(report);
}
