/** Of a name. */
const longestQuote = 60;
/** Of another parser's message. */
export const longestMessage = 200;

/** A text out of a file as a message shows it: short, in quotes, with nothing in it that a terminal obeys. */
export function quoted(text: string, longest = longestQuote): string {
  const short = text.length > longest ? `${text.slice(0, longest)}…` : text;
  // JSON leaves DEL, the C1 controls, line separators and marks of direction as they are.
  const obeyed = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  return JSON.stringify(short).replace(obeyed, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
