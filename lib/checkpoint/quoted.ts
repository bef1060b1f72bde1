const longestQuote = 60;

/** A text out of a file as a message shows it: short, in quotes, with nothing in it that a terminal obeys. */
export function quoted(text: string): string {
  const short = text.length > longestQuote ? `${text.slice(0, longestQuote)}…` : text;
  // JSON leaves DEL, the C1 controls, line separators and marks of direction as they are.
  const obeyed = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  return JSON.stringify(short).replace(obeyed, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
