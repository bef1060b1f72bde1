import type { NativePlan } from "../addon/native.js";
import { type Bypass, meanRows, toPlan } from "../bypass/bypass.js";
import { bypassedIn, nameOf, partNames } from "../bypass/bypassed-parts.js";
import type { ModelConfig } from "../families/config.js";
import { hashNumbers } from "../scoring/fingerprint.js";
import type { ScannedBypass, ScanSettings } from "./result.js";

/** Returns the bypasses of a scan with their plans. Throws what `toPlan` throws. */
export function toBypasses(
  bypasses: readonly Bypass[],
  config: ModelConfig,
): { bypass: ScannedBypass; plan: NativePlan }[] {
  return bypasses.map((given, index) => {
    const plan = toPlan(given, config, `options.bypasses[${index}]`);
    const { blocks, heads } = bypassedIn(plan);
    const single = Object.keys(heads).length > 0;
    const quartile = given.blocks && "quartile" in given.blocks && !single ? given.blocks.quartile : undefined;
    const part = given.part ?? "attention";
    const name = `${quartile === undefined ? nameOf(blocks, heads) : `quartile ${quartile}`}${partNames[part]}`;
    return { bypass: { name, part, blocks, ...(single && { heads }), mode: given.mode ?? "zero" }, plan };
  });
}

/** Returns the settings of bypasses: without their means, and the hashes of these. */
export function bypassSettings(
  bypasses: readonly Bypass[],
  config: ModelConfig,
): Pick<ScanSettings, "bypasses" | "means"> {
  const means = bypasses.flatMap((one) => (one.means ? [hashNumbers(meanRows(one.means, config, "means"))] : []));
  return {
    bypasses: bypasses.map(({ means: _, ...bypass }) => bypass),
    ...(means.length > 0 && { means }),
  };
}
