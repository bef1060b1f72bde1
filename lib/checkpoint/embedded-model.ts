import path from "node:path";
import * as v from "valibot";
import { packageRoot } from "../addon/addon.js";
import { validate } from "../errors/validation.js";

/** The names of the embedded models: small models that the package contains. */
export const embeddedModels = ["gpt-neox", "gpt-neo"] as const;

/** The name of an embedded model. */
export type EmbeddedModel = (typeof embeddedModels)[number];

/**
 * Returns the path of an embedded model's folder, for `loadModel`. The embedded models have two million parameters in
 * eight blocks, and were trained to memorize invented secrets. They are meant for first steps and tests. `name`
 * defaults to "gpt-neox". Throws INVALID_ARGUMENT.
 */
export function embeddedModel(name: EmbeddedModel = "gpt-neox"): string {
  const message = embeddedModels.map((known) => JSON.stringify(known)).join(" or ");
  return path.join(packageRoot, "models", validate(v.picklist(embeddedModels, message), name, "name"));
}

/**
 * Returns the path of the folder with data for the embedded models: samples with the secrets (records.jsonl,
 * passages.jsonl), a text for perplexity (held-out.txt) and tasks (tasks/agreement.jsonl, recall.jsonl, sums.jsonl).
 */
export function embeddedMeasures(): string {
  return path.join(packageRoot, "models", "measures");
}
