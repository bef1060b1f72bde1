import { InvalidArgumentError } from "commander";

/** Parsers of option values. Commander puts the option's name before their messages. */

function toNumber(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

export function decimal(text: string): number {
  const value = toNumber(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

export const wholeNumber =
  (from: number) =>
  (text: string): number => {
    const value = toNumber(text);
    if (!Number.isSafeInteger(value) || value < from) {
      throw new InvalidArgumentError(`Expected a whole number from ${from} up.`);
    }
    return value;
  };

export function tokenIds(text: string): number[] {
  return text
    .trim()
    .split(/\s*,\s*|\s+/)
    .map(wholeNumber(0));
}

/** Parses some of the names, separated by commas, each once. */
export const namesAmong =
  <Name extends string>(names: readonly Name[]) =>
  (text: string): Name[] => {
    const chosen = text.split(",").map((item) => {
      const name = names.find((candidate) => candidate === item.trim());
      if (name === undefined) throw new InvalidArgumentError(`Expected names among ${names.join(", ")}.`);
      return name;
    });
    return [...new Set(chosen)];
  };

/** Collects the values of an option that may be repeated. */
export function append(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
