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

/** One number or range of a list, as numbers. */
function expand(item: string): number[] {
  const found = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(item);
  if (!found) throw new InvalidArgumentError(expected);
  const from = Number(found[1]);
  const to = Number(found[2] ?? from);
  if (from > to) throw new InvalidArgumentError(`Expected the lower block of ${item} first.`);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

export function parseBlocks(text: string): Blocks {
  const quartile = /^q([1-4])$/.exec(text);
  if (quartile) return { quartile: Number(quartile[1]) as 1 | 2 | 3 | 4 };
  const open = /^(\d{1,4})-$/.exec(text);
  if (open) return { from: Number(open[1]) };
  return text.split(",").flatMap((item) => expand(item.trim()));
}

/** Heads such as 3.0,3.5,4.1: block, full stop, head. */
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
  "samples that the mode mean takes its means from: .npy or .jsonl, all their tokens",
);

export function addBypassOptions(command: Command): Command {
  return command
    .optionsGroup("Bypass options:")
    .option(
      "--bypass <blocks>",
      "blocks, numbered from 0, whose attention (or --part) is switched off: 7, or 5,6,7, or 4-7, or 4- (to the last), or q4 " +
        "(the 4th quarter of the stack) (default: none)",
      parseBlocks,
    )
    .addOption(
      new Option("--part <part>", 'the part of the blocks that is switched off (default: "attention")').choices(
        bypassParts,
      ),
    )
    .option("--heads <heads>", "single heads to switch off, as block.head: 3.0,3.5 (default: none)", parseHeads)
    .addOption(
      new Option(
        "--mode <mode>",
        'what a bypassed attention adds: nothing ("zero"), each token\'s own value ("short-circuit"), or what it adds ' +
          'on average ("mean") (default: "zero")',
      ).choices(bypassModes),
    )
    .addOption(meanSamplesOption);
}

function required(option: string, beside: string): AttentionBypassError {
  return new AttentionBypassError("INVALID_ARGUMENT", `expected ${option} beside ${beside} but it is not given`);
}

/** The bypass, but for its means. */
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

/** The means that are asked for. */
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

/** The same bypass with its means. */
export async function withMeans(
  model: Model,
  { bypass }: { bypass?: Bypass },
  options: BypassOptions & JsonOption,
  signal: AbortSignal,
): Promise<{ bypass?: Bypass }> {
  return bypass === undefined ? {} : { bypass: { ...bypass, ...(await readMeans(model, options, signal)) } };
}
