import { packageVersion } from "../addon/addon.js";
import { type Bypass, type BypassMeans, meanRows } from "../bypass/bypass.js";
import type { ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import type { BypassFamily } from "./families.js";
import { hashFile, hashNumbers, hashRows } from "./fingerprint.js";
import type { Measures } from "./measures.js";
import type { CheckedSweepOptions } from "./options.js";
import type { SweepSettings } from "./settings.js";
import type { SweptBlocks, SweptModes } from "./variants.js";

const hasMeans = (item: BypassFamily | Bypass): item is Bypass => typeof item === "object" && "means" in item;

/** Leaves out the means of bypasses, since settings contain their hash instead. */
function withoutMeans(over: SweptBlocks): SweptBlocks {
  if (!Array.isArray(over)) return over;
  return over.map((item: BypassFamily | Bypass) => {
    if (!hasMeans(item)) return item;
    const { means: _, ...bypass } = item;
    return bypass;
  });
}

function meansOf({ over, means }: CheckedSweepOptions): BypassMeans[] {
  const listed = (Array.isArray(over) ? over : []) as (BypassFamily | Bypass)[];
  const own = listed.flatMap((item) => (hasMeans(item) ? (item.means ?? []) : []));
  return [...(means ? [means] : []), ...own];
}

const sizeOf = (rows: readonly ScoredRow[]) => ({
  rows: rows.length,
  suffixTokens: rows.reduce((sum, { tokens, first }) => sum + tokens.length - first, 0),
});

/** Returns the settings of a sweep. Throws WEIGHTS_CHANGED. */
export async function describeSettings(
  session: Session,
  checked: CheckedSweepOptions,
  { samples, control, windows, tasks }: Measures,
  surveyed: readonly ScoredRow[],
): Promise<SweepSettings> {
  const { config, device, dtype, files } = session;
  const pick = <Name extends keyof CheckedSweepOptions>(...names: Name[]) =>
    Object.fromEntries(names.flatMap((name) => (checked[name] === undefined ? [] : [[name, checked[name]]]))) as {
      [Key in Name]?: NonNullable<CheckedSweepOptions[Key]>;
    };
  const means = meansOf(checked);
  return {
    over: withoutMeans(checked.over as SweptBlocks),
    part: checked.part,
    mode: checked.mode as SweptModes,
    ...(means.length > 0 && { means: means.map((one) => hashNumbers(meanRows(one, config, "means"))) }),
    device,
    dtype,
    versions: { "attention-bypass": packageVersion, libtorch: session.libtorch },
    model: { config, files: await Promise.all(files.map((file) => hashFile(file, checked.signal))) },
    ...(samples.length > 0 && {
      samples: {
        ...sizeOf(samples),
        ...pick("prefixLength"),
        sha256: hashRows(samples),
        metrics: checked.metrics,
        temperature: checked.temperature,
        ...pick("topK"),
      },
    }),
    ...(control.length > 0 && {
      control: { ...sizeOf(control), ...pick("prefixLength"), sha256: hashRows(control) },
    }),
    ...(windows.length > 0 && {
      text: {
        windows: windows.length,
        ...pick("contextLength", "stride", "beginningToken"),
        sha256: hashRows(windows),
      },
    }),
    ...(tasks.length > 0 && {
      tasks: tasks.map(({ name, group, questions, rows }) => ({
        name,
        ...(group !== undefined && { group }),
        questions: questions.length,
        sha256: hashRows(rows),
      })),
    }),
    ...(surveyed.length > 0 && {
      survey: { rows: surveyed.length, tokens: surveyed.reduce((sum, { tokens }) => sum + tokens.length, 0) },
    }),
  };
}
