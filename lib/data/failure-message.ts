/**
 * Returns the error's message. If the call stack overflowed, as with values or templates that are nested tens of
 * thousands of levels deep, the message names that cause.
 */
export function failureMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /call stack/.test(message) ? "its values or templates are nested too deeply" : message;
}
