import type { Command } from "commander";
import { type MemorizationMetric, memorizationMetrics } from "../metrics/memorization-scores.js";
import { decimal, namesAmong, wholeNumber } from "./values.js";

/** The options of the memorization metrics. */
export interface MetricOptions {
  metrics?: MemorizationMetric[];
  temperature?: number;
  topK?: number;
  epsilon?: number;
  continuations?: number;
  seed?: number;
}

export const metricOptionNames = ["metrics", "temperature", "topK", "epsilon", "continuations", "seed"] as const;

export function addMetricOptions(command: Command): Command {
  return command
    .option(
      "--metrics <names>",
      "memorization metrics, separated by commas (default: the first seven in the list of `memorization --help`)",
      namesAmong(memorizationMetrics),
    )
    .option("--temperature <number>", "temperature for extractionProbability and sampledMatch (default: 1)", decimal)
    .option("--top-k <count>", "top-k for extractionProbability and sampledMatch (default: all tokens)", wholeNumber(1))
    .option(
      "--epsilon <share>",
      "largest edit distance, as a share of the suffix, for approximateMatch and sampledMatch (default: 0.1)",
      decimal,
    )
    .option("--continuations <count>", "continuations of each row for sampledMatch (default: 16)", wholeNumber(1))
    .option("--seed <number>", "seed of the continuations (default: 0)", wholeNumber(0));
}
