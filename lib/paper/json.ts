import type { PaperResult } from "./result.js";

/**
 * Yields a result as JSON in pieces, each variant of a model on a line. The benchmarks on several large models are
 * longer than one string can be.
 */
export function* paperJson({ format, models }: PaperResult): Generator<string, void, void> {
  yield `{"format":${JSON.stringify(format)},"models":[`;
  for (const [index, { sweep, ...model }] of models.entries()) {
    const { variants, ...rest } = sweep;
    yield `${index > 0 ? "," : ""}\n${JSON.stringify(model).slice(0, -1)},"sweep":${JSON.stringify(rest).slice(0, -1)},"variants":[`;
    for (const [place, variant] of variants.entries()) yield `${place > 0 ? "," : ""}\n${JSON.stringify(variant)}`;
    yield "]}}";
  }
  yield "\n]}\n";
}
