import type { Command } from "commander";
import type { Interval } from "../bootstrap.js";
import { type Recommendation, recommend } from "../recommend.js";
import { addJsonOption, type JsonOption, print, printJson, table } from "./output.js";
import { readSweep } from "./sweep-file.js";
import { decimal } from "./values.js";

interface Options extends JsonOption {
  tolerance?: number;
}

const examples = `
Prints the block sets that no other one beats in both memorization and ability, and the one to take: of those
that lose at most --tolerance points of accuracy, that with the least memorization. Intervals are 95 %, by
bootstrap over rows and questions.

Examples:
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy --prefix-length 32 \\
      --tasks arc_easy,piqa --data ./tasks --output sweep.json --json
  $ attention-bypass recommend sweep.json --tolerance 1`;

function form({ base, front, best, certain, tolerance }: Recommendation): string {
  const interval = ({ value, low, high }: Interval, scale = 100) =>
    [value, low, high]
      .map((number) => (scale * number).toFixed(1))
      .join(" ")
      .replace(/ (.*) (.*)$/, " [$1, $2]");
  const line = (name: string, mode: string, of: { memorization: Interval; ability: Interval }, loss?: Interval) => [
    name,
    mode,
    interval(of.memorization),
    interval(of.ability),
    loss ? interval(loss, 1) : "",
  ];
  const rows = [
    ["bypass", "mode", "exact match, %", "accuracy, %", "points lost"],
    line("none", "", base),
    ...front.map((one) => line(one.name, one.mode, one, one.loss)),
  ];
  const verdict =
    best === undefined
      ? `No bypass loses at most ${tolerance} points of accuracy.`
      : `Take ${best.name} (${best.mode}). That it loses at most ${tolerance} points of accuracy is ${certain ? "" : "not "}certain at 95 %.`;
  return `${table(rows)}\n${verdict}\n`;
}

export function addRecommend(program: Command): void {
  const command = program
    .command("recommend")
    .summary("choose a bypass by what a sweep has measured")
    .description("Chooses the bypass that takes the most memorization for the ability that may be lost.")
    .argument("<sweep>", "result of sweep --json, with samples and tasks")
    .option("--tolerance <points>", "points of accuracy that may be lost (default: 1)", decimal);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action(async (file: string, options: Options) => {
      const { tolerance } = options;
      const sweep = await readSweep(file);
      const result = recommend(sweep, tolerance === undefined ? {} : { tolerance });
      await (options.json ? printJson(result) : print(form(result)));
    });
}
