// Which later parts make up for the attention of a block that is bypassed, on the secrets that the model has memorized.
import { createEffectsReport } from "attention-bypass";

/**
 * Measures the effects of bypassing the attention of each block, adds them to the report, and returns them. Uses the secrets
 * that were repeated at least `repetitions` times.
 */
export async function addEffects(report, model, { kinds }, { repetitions, signal }) {
  const samples = kinds.flatMap(({ rows }) => rows.filter((row) => row.repetitions >= repetitions));
  const effects = await model.effects(samples, { signal });
  const { findings, figures, tables } = createEffectsReport(effects);
  report.findings.push(...findings);
  report.figures.push(...figures);
  report.tables.push(...tables);
  return effects;
}
