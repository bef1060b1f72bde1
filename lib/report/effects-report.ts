import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { checkEffects } from "../effects/check-result.js";
import type { EffectsResult } from "../effects/result.js";
import { validate } from "../errors/validation.js";
import { effectsFigures } from "./effects-figures.js";
import { effectsFindings } from "./effects-findings.js";
import { effectsTables } from "./effects-tables.js";
import { describe, type Report, reportText } from "./report.js";

/** Options of `createEffectsReport`. */
export interface EffectsReportOptions {
  /** The name of the model in the report. Defaults to its family. */
  name?: string;
}

const schema = v.strictObject({ name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))) });

/**
 * Creates a report from the result of `model.effects`: how much of the direct effect of each bypass later parts make up
 * for, and which parts, with 95 % confidence intervals by bootstrap over rows. Throws INVALID_ARGUMENT.
 */
export function createEffectsReport(result: EffectsResult, options: EffectsReportOptions = {}): Report {
  const { name } = validate(schema, options, "options");
  const checked = checkEffects(result);
  const modelName = name ?? checked.settings.model.config.family;
  return withText(
    {
      title: `Total and direct effects of bypasses in ${modelName}`,
      description: describe(checked),
      findings: effectsFindings(checked),
      figures: effectsFigures(checked),
      tables: effectsTables(checked),
      settings: { [modelName]: checked.settings },
    },
    reportText,
  );
}
