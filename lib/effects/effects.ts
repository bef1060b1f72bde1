import { setImmediate } from "node:timers/promises";
import { plainPlan } from "../bypass/bypass.js";
import { requireFinite } from "../errors/finite.js";
import { complete, part, rising } from "../operation/operation.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { Bootstrap } from "../statistics/bootstrap.js";
import { describeSettings } from "../sweep/describe-settings.js";
import { readMeasures } from "../sweep/measures.js";
import { type Swept, toVariants } from "../sweep/variants.js";
import { measureRows, type PlanRows } from "./measure-rows.js";
import { type EffectsOptions, toSweepOptions } from "./options.js";
import type { BypassEffects, EffectsResult } from "./result.js";
import { toBase, toEffects } from "./summarize.js";

/** The share of progress that is reported for the forward passes. Intervals are the rest. */
const passShare = 0.95;

/**
 * Measures the total and the direct effect of bypasses on the suffixes of samples, and what each attention and MLP
 * changes. docs/effects.md defines the numbers.
 */
export async function effects(
  session: Session,
  samples: unknown,
  options: EffectsOptions = {},
): Promise<EffectsResult> {
  const checked = toSweepOptions(samples, options, session.config);
  const { signal, memory = defaultMemory(session) } = checked;
  const variants = toVariants(checked as typeof checked & Swept, session.config);
  const plans = [plainPlan(session.config), ...variants.map(({ plan }) => plan)];
  const measures = await readMeasures(session, checked);
  const rows = measures.samples.map((row) => ({ ...row, decode: false, rescore: false }));
  const settings = await describeSettings(session, checked, measures, []);
  const operation = rising(checked);
  const [base, ...bypassed] = (await measureRows(session, rows, plans, {
    ...part(operation, 0, passShare),
    memory,
  })) as [PlanRows, ...PlanRows[]];
  const bootstrap = new Bootstrap();
  const bypasses: BypassEffects[] = [];
  for (const [index, { variant, plan }] of variants.entries()) {
    // The intervals of many rows take a while; other work of the event loop runs in between.
    await setImmediate();
    signal?.throwIfAborted();
    bypasses.push({ ...variant, ...toEffects(base, bypassed[index] as PlanRows, plan, bootstrap) });
  }
  await complete(operation);
  const result = { rows: rows.length, base: toBase(base, bootstrap), bypasses, settings };
  requireFinite({ base: result.base, bypasses }, `effects in ${session.dtype}`);
  return result;
}
