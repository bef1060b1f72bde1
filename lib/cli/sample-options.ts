import { Option } from "commander";
import type { Samples } from "../data/samples.js";

/** The second file of a pair, as the extraction benchmark publishes them. */
export const suffixesOption = (): Option =>
  new Option(
    "--suffixes <file>",
    "the samples' suffixes as an .npy array of their own; --samples then has the prefixes",
  );

export function toSamples({ samples, suffixes }: { samples: string; suffixes?: string }): Samples {
  return suffixes === undefined ? samples : { prefixes: samples, suffixes };
}
