import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type Blocks,
  type Bypass,
  type BypassMeans,
  type BypassMode,
  type BypassPart,
  bypassModes,
  bypassParts,
  type Heads,
} from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { Model } from "../model.js";
import type { JsonOption } from "./output.js";
import { withProgress } from "./progress.js";

export interface BypassOptions {
  bypass?: Blocks;
  heads?: Heads;
  part?: BypassPart;
  mode?: BypassMode;
  meanSamples?: string;
}

const expected = "Expected blocks such as 7, 5,6,7, 4-7, 4- (to the last) or q4 (the last quarter).";

/** Parses one number or range of a list. */
function expand(item: string): number[] {
  const found = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(item);
  if (!found) throw new InvalidArgumentError(expected);
  const from = Number(found[1]);
  const to = Number(found[2] ?? from);
  if (from > to) throw new InvalidArgumentError(`Expected the lower block first in ${item}.`);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

export function parseBlocks(text: string): Blocks {
  const quartile = /^q([1-4])$/.exec(text);
  if (quartile) return { quartile: Number(quartile[1]) as 1 | 2 | 3 | 4 };
  const open = /^(\d{1,4})-$/.exec(text);
  if (open) return { from: Number(open[1]) };
  return text.split(",").flatMap((item) => expand(item.trim()));
}

/** Parses heads such as 3.0,3.5,4.1: block, full stop, head. */
export function parseHeads(text: string): Heads {
  const heads: Record<number, number[]> = {};
  for (const item of text.split(",")) {
    const found = /^(\d{1,4})\.(\d{1,4})$/.exec(item.trim());
    if (!found) throw new InvalidArgumentError("Expected heads such as 3.0,3.5: block, full stop, head.");
    const block = Number(found[1]);
    heads[block] = [...(heads[block] ?? []), Number(found[2])];
  }
  return heads;
}

export const meanSamplesOption = new Option(
  "--mean-samples <file>",
  "samples for --mode mean, .npy or JSON lines; means are over all their tokens",
);

export function addBypassOptions(command: Command): Command {
  return command
    .optionsGroup("Bypass options:")
    .option(
      "--bypass <blocks>",
      "blocks to bypass, numbered from 0: 7, or 5,6,7, or 4-7, or 4- (to the last), or q4 (the last quarter) " +
        "(default: none)",
      parseBlocks,
    )
    .addOption(new Option("--part <part>", 'part of the blocks to bypass (default: "attention")').choices(bypassParts))
    .option("--heads <heads>", "single heads to bypass, as block.head: 3.0,3.5 (default: none)", parseHeads)
    .addOption(
      new Option(
        "--mode <mode>",
        'what replaces the output: nothing ("zero"), the output if each token attends only to itself ' +
          '("short-circuit"), or the mean over samples ("mean") (default: "zero")',
      ).choices(bypassModes),
    )
    .addOption(meanSamplesOption);
}

function required(option: string, other: string): AttentionBypassError {
  return new AttentionBypassError("INVALID_ARGUMENT", `expected ${option} with ${other} but it is not given`);
}

/** Returns the bypass without its means. Throws INVALID_ARGUMENT. */
export function toBypass({ bypass: blocks, heads, part, mode, meanSamples }: BypassOptions): { bypass?: Bypass } {
  if (mode === "mean" && meanSamples === undefined) throw required("--mean-samples", "--mode mean");
  if (mode !== "mean" && meanSamples !== undefined) throw required("--mode mean", "--mean-samples");
  if (blocks === undefined && heads === undefined) {
    if (mode === undefined && part === undefined) return {};
    throw required("--bypass or --heads", mode === undefined ? "--part" : "--mode");
  }
  return {
    bypass: { ...(blocks && { blocks }), ...(heads && { heads }), ...(part && { part }), ...(mode && { mode }) },
  };
}

/** Computes the means over the samples of --mean-samples, if it is given. */
export async function readMeans(
  model: Model,
  { meanSamples, json }: Pick<BypassOptions, "meanSamples"> & JsonOption,
  signal: AbortSignal,
): Promise<{ means?: BypassMeans }> {
  if (meanSamples === undefined) return {};
  const { means } = await withProgress("Averaging", { ...(json && { json }) }, (onProgress) =>
    model.attention(meanSamples, { signal, onProgress }),
  );
  return { means };
}

/** Adds the means to a bypass. */
export async function withMeans(
  model: Model,
  { bypass }: { bypass?: Bypass },
  options: BypassOptions & JsonOption,
  signal: AbortSignal,
): Promise<{ bypass?: Bypass }> {
  return bypass === undefined ? {} : { bypass: { ...bypass, ...(await readMeans(model, options, signal)) } };
}
