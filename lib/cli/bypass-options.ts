import { type Command, InvalidArgumentError, Option } from "commander";
import type { Blocks, Bypass, BypassMode } from "../bypass.js";
import { AttentionBypassError } from "../errors.js";

export interface BypassOptions {
  bypass?: Blocks;
  mode?: BypassMode;
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

export function addBypassOptions(command: Command): Command {
  return command
    .optionsGroup("Bypass options:")
    .option(
      "--bypass <blocks>",
      "blocks, numbered from 0, whose attention is switched off: 7, or 5,6,7, or 4-7, or 4- (to the last), or q4 " +
        "(the 4th quarter of the stack) (default: none)",
      parseBlocks,
    )
    .addOption(
      new Option(
        "--mode <mode>",
        'what a bypassed attention adds: nothing ("zero"), or each token\'s own value ("short-circuit") (default: "zero")',
      ).choices(["zero", "short-circuit"]),
    );
}

export function toBypass({ bypass: blocks, mode }: BypassOptions): { bypass?: Bypass } {
  if (blocks === undefined) {
    if (mode === undefined) return {};
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --bypass beside --mode but it is not given");
  }
  return { bypass: mode === undefined ? { blocks } : { blocks, mode } };
}
