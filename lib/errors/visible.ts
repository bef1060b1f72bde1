/**
 * Control characters (C0 but the line break and the tab, DEL and C1), which a terminal may obey, and the marks that turn
 * the direction of text or break its lines.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text from outside as it may be printed: what would not be seen stands as an escape, such as \u001b. */
export function visible(text: string): string {
  return text.replace(unseen, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
