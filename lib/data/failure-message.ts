/**
 * Returns the error's message, or one that names the cause if the call stack overflowed, which values or templates of a
 * file do that are nested tens of thousands of levels deep.
 */
export function failureMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /call stack/.test(message) ? "its values or templates are nested too deeply" : message;
}
