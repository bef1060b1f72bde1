import { isDeepStrictEqual } from "node:util";
import { AttentionBypassError } from "../errors/errors.js";
import type { SweepResult } from "../sweep/result.js";
import type { SweepSettings } from "../sweep/settings.js";

/** Returns the settings that must be equal. The means of the mode "mean" are each model's own. */
function common({ model, means: _, ...settings }: SweepSettings): Record<string, unknown> {
  const { family, blockCount, headCount, hiddenSize } = model.config;
  return { ...settings, architecture: { family, blockCount, headCount, hiddenSize } };
}

/**
 * Checks that two revisions were measured on the same rows with the same settings. Throws REVISIONS_DIFFER. The
 * tokenizers of two revisions may make different rows of one text.
 */
export function requireSameSweep(
  first: { name: string; sweep: SweepResult },
  other: { name: string; sweep: SweepResult },
): void {
  const [one, two] = [common(first.sweep.settings), common(other.sweep.settings)];
  const names = [...new Set([...Object.keys(one), ...Object.keys(two)])];
  const changed = names.filter((name) => !isDeepStrictEqual(one[name], two[name]));
  if (changed.length === 0) return;
  throw new AttentionBypassError(
    "REVISIONS_DIFFER",
    `expected the same sweep for all revisions but ${changed.join(" and ")} of ${other.name} differ from those of ` +
      `${first.name}; measure them in separate calls`,
  );
}
