import { Option } from "commander";
import type { Samples } from "../data/samples.js";

/** The suffixes of a pair of files, the form in which the extraction benchmark is published. */
export const suffixesOption = (): Option =>
  new Option("--suffixes <file>", ".npy array of suffixes; --samples is then an .npy array of prefixes");

export function toSamples({ samples, suffixes }: { samples: string; suffixes?: string }): Samples {
  return suffixes === undefined ? samples : { prefixes: samples, suffixes };
}
