/**
 * Control characters that a terminal may interpret (C0 without line feed and tab, DEL, C1), direction marks and line
 * separators.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find
const invisible = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Makes text from outside safe to print: invisible characters are replaced by escapes such as \u001b. */
export function visible(text: string): string {
  return text.replace(invisible, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
