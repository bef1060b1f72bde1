import type { ScannedBypass } from "./result.js";

/** Returns a label for each bypass. The mode is a part of it if there are several, and a number if labels repeat. */
export function bypassLabels(bypasses: readonly ScannedBypass[]): string[] {
  const several = new Set(bypasses.map(({ mode }) => mode)).size > 1;
  const labels = bypasses.map(({ name, mode }) => (several ? `${name}, ${mode}` : name));
  return labels.map((label, index) => {
    const same = labels.slice(0, index).filter((other) => other === label).length;
    return same === 0 ? label : `${label} (${same + 1})`;
  });
}
