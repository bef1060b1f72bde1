import * as v from "valibot";
import { bypassModes, bypassParts } from "../bypass/bypass.js";
import { type BypassedParts, nameOf, partNames } from "../bypass/bypassed-parts.js";
import { AttentionBypassError } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import { validate, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";

/**
 * The name of what `convert` writes about a model into its files: an extra file of an archive, an entry of the metadata
 * of a safetensors file.
 */
export const markName = "attention-bypass.json";

/** A bypass that `convert` wrote into weights, and the version of this package that did. */
export interface WrittenBypass extends BypassedParts {
  version: string;
}

/** What the files of a converted model say about it. */
export interface Mark {
  /** Whether the weights come from a traced module that was not compared with them. */
  unchecked: boolean;
  /** The bypasses in the weights, in the order in which they were written. */
  bypasses: WrittenBypass[];
  /** Heads that attend only to the token itself, by block. Only in archives. */
  shortCircuit?: Record<string, number[]> | undefined;
}

const numbers = v.array(wholeNumber(0));
const heads = v.record(v.string(), numbers);
const fields = v.looseObject({
  unchecked: v.optional(v.boolean(), false),
  bypasses: v.optional(
    v.array(
      v.looseObject({
        version: v.pipe(v.string(), v.maxLength(100)),
        part: v.picklist(bypassParts),
        blocks: numbers,
        heads: v.exactOptional(heads),
        mode: v.picklist(bypassModes),
      }),
    ),
    [],
  ),
  shortCircuit: v.optional(heads),
});

/** Reads a mark. `place` is used in error messages. Throws WEIGHTS_INVALID. */
export function parseMark(text: string | undefined, place: string): Mark {
  if (text === undefined) return { unchecked: false, bypasses: [] };
  try {
    return validate(fields, JSON.parse(text), `${markName} in ${place}`, "WEIGHTS_INVALID");
  } catch (error) {
    if (error instanceof AttentionBypassError) throw error;
    throw new AttentionBypassError(
      "WEIGHTS_INVALID",
      `expected JSON for ${markName} in ${place} but ${quoted((error as Error).message, longestMessage)}`,
    );
  }
}

/** Returns the text of a mark. */
export function markText(mark: Mark, version: string): string {
  const { unchecked, bypasses, shortCircuit } = mark;
  return JSON.stringify({
    version,
    ...(unchecked && { unchecked }),
    ...(bypasses.length > 0 && { bypasses }),
    ...(shortCircuit && Object.keys(shortCircuit).length > 0 && { shortCircuit }),
  });
}

/** Returns the config with the heads that attend only to the token itself. Throws WEIGHTS_INVALID. */
export function withShortCircuit(config: ModelConfig, { shortCircuit }: Mark, place: string): ModelConfig {
  if (shortCircuit === undefined) return config;
  for (const [block, numbers] of Object.entries(shortCircuit)) {
    const known = String(Number(block)) === block && Number(block) >= 0 && Number(block) < config.blockCount;
    if (known && numbers.every((head) => head < config.headCount)) continue;
    throw new AttentionBypassError(
      "WEIGHTS_INVALID",
      `expected heads of the model for shortCircuit of ${markName} in ${place} but found ${quoted(`${block}: ${numbers}`)}`,
    );
  }
  return { ...config, shortCircuit };
}

/** Returns the name of a written bypass, such as "blocks 6, 7 MLP (zero)". */
export function writtenName({ blocks, heads = {}, part, mode }: BypassedParts): string {
  return `${nameOf(blocks, heads)}${partNames[part]} (${mode})`;
}
