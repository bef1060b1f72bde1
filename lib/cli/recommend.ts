import type { Command } from "commander";
import { recommend } from "../recommend.js";
import { recommendationText } from "../result-text.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
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
      await (options.json ? printJson(result) : print(recommendationText(result)));
    });
}
