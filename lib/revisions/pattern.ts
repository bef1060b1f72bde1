import { invalidArgument } from "../errors/validation.js";

/** The most names that a message shows. */
const shownNames = 5;

const isPattern = (text: string) => text.includes("*");

/** Returns whether a name matches a pattern, in which each `*` stands for any characters. */
export function matches(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  const end = name.length - last.length;
  let from = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return from <= end;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, shownNames).join(", ");
  return names.length > shownNames ? `${shown} and ${names.length - shownNames} more` : shown || "none";
}

/**
 * Returns the names of the requested revisions: names as they are, and all names that a pattern matches. `list` is only
 * called if there is a pattern. Throws INVALID_ARGUMENT for a pattern without a match and for a name that is chosen
 * twice.
 */
export async function chooseNames(requested: readonly string[], list: () => Promise<string[]>): Promise<string[]> {
  const known = requested.some(isPattern) ? await list() : [];
  const chosen = new Set<string>();
  for (const text of requested) {
    const names = isPattern(text) ? known.filter((name) => matches(text, name)) : [text];
    if (names.length === 0) {
      throw invalidArgument("options.revisions", `a pattern of these revisions: ${listed(known)}`, text);
    }
    for (const name of names) {
      if (chosen.has(name)) {
        throw invalidArgument("options.revisions", `each revision once, but ${name} is chosen twice,`, text);
      }
      chosen.add(name);
    }
  }
  return [...chosen];
}
