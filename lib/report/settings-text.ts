import { AttentionBypassError, messageOf } from "../errors/errors.js";
import type { Report } from "./report.js";

/**
 * Returns a report's settings as JSON. Throws INVALID_ARGUMENT if a user has added something that JSON cannot
 * represent.
 */
export function settingsText({ settings }: Report): string {
  try {
    return JSON.stringify(settings, null, 2);
  } catch (error) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected settings that JSON can represent for report.settings but ${messageOf(error)}`,
      { cause: error },
    );
  }
}
