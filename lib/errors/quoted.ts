/** The most characters of a name that a message shows. */
const longestQuote = 60;
/** The most characters of another parser's message. */
export const longestMessage = 200;

/** Quotes text from a file for a message: shortened, and with control characters escaped. */
export function quoted(text: string, longest = longestQuote): string {
  const short = text.length > longest ? `${text.slice(0, longest)}…` : text;
  // JSON.stringify does not escape DEL, C1 control characters, line separators and direction marks.
  const control = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  return JSON.stringify(short).replace(control, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
