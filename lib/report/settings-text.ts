import { AttentionBypassError, messageOf } from "../errors/errors.js";
import type { Report } from "./report.js";

/** A report's settings as JSON. Whoever writes a report may have added something that JSON can't hold. */
export function settingsText({ settings }: Report): string {
  try {
    return JSON.stringify(settings, null, 2);
  } catch (error) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected settings that JSON can hold for report.settings but ${messageOf(error)}`,
      { cause: error },
    );
  }
}
