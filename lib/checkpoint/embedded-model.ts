import path from "node:path";
import * as v from "valibot";
import { packageRoot } from "../addon/addon.js";
import { validate } from "../errors/validation.js";

/** The small models that come with the package. */
export const embeddedModels = ["gpt-neox", "gpt-neo"] as const;

/** A small model that comes with the package. */
export type EmbeddedModel = (typeof embeddedModels)[number];

/**
 * The folder of a model that comes with the package and has memorized made-up secrets on purpose, for first steps and
 * tests: two million parameters, in eight blocks. Throws INVALID_ARGUMENT.
 */
export function embeddedModel(name: EmbeddedModel = "gpt-neox"): string {
  const message = embeddedModels.map((known) => JSON.stringify(known)).join(" or ");
  return path.join(packageRoot, "models", validate(v.picklist(embeddedModels, message), name, "name"));
}

/**
 * The folder with what to measure on these models: the secrets as samples (records.jsonl, passages.jsonl), held-out.txt
 * and questions (tasks/agreement.jsonl, recall.jsonl, sums.jsonl).
 */
export function embeddedMeasures(): string {
  return path.join(packageRoot, "models", "measures");
}
