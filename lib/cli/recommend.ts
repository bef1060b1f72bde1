import type { Command } from "commander";
import { recommend } from "../recommend/recommend.js";
import { recommendationText } from "../recommend/text.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { readSweep } from "./sweep-file.js";
import { decimal } from "./values.js";

interface Options extends JsonOption {
  tolerance?: number;
  perplexityTolerance?: number;
}

const examples = `
Prints the bypasses on the Pareto front of memorization, accuracy and, if the
sweep measured it, perplexity, and the one that leaves the least memorization
within the tolerances. Also prints the data behind the choice, and whether the
model has memorized anything. Intervals are 95 %, by bootstrap over samples and
questions; perplexity has none. A choice without perplexity is never certain.

Examples:
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --text wikitext2.txt --tasks arc_easy,piqa \\
      --data ./tasks --output sweep.json
  $ attention-bypass recommend sweep.json --tolerance 1`;

export function addRecommend(program: Command): void {
  const command = program
    .command("recommend")
    .summary("recommend a bypass from the result of a sweep")
    .description(
      "Recommends the bypass that removes the most memorization within tolerances for accuracy and perplexity.",
    )
    .argument("<sweep>", "JSON result of a sweep over samples and tasks")
    .option("--tolerance <points>", "maximum loss of accuracy in points (default: 1)", decimal)
    .option("--perplexity-tolerance <percent>", "maximum rise of perplexity (default: 5)", decimal);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action(async (file: string, options: Options) => {
      const sweep = await readSweep(file);
      const result = recommend(sweep, pick(options, ["tolerance", "perplexityTolerance"]));
      await (options.json ? printJson(result) : print(recommendationText(result)));
    });
}
