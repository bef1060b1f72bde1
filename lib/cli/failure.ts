import { CommanderError } from "commander";
import { AttentionBypassError, messageOf, systemCode } from "../errors.js";
import { visible } from "../visible.js";
import { exitCodes, unexpected } from "./exit-codes.js";

/** A failure as the command line tells it. */
export interface Failure {
  /** Undefined where there is nothing to say. */
  report: { code: string; message: string } | undefined;
  exitCode: number;
}

const silent = (exitCode: number): Failure => ({ report: undefined, exitCode });

function oneLine(message: string): string {
  return visible(message.trim().replace(/\s*[\r\n]\s*/g, " "));
}

export function toFailure(error: unknown): Failure {
  if (error instanceof CommanderError) {
    // Help and version arrive as errors too, already printed.
    if (error.exitCode === 0) return silent(0);
    if (error.code === "commander.help") return silent(exitCodes.INVALID_ARGUMENT);
    const message = oneLine(error.message.replace(/^error: /, ""));
    return { report: { code: "INVALID_ARGUMENT", message }, exitCode: exitCodes.INVALID_ARGUMENT };
  }
  // Who reads our output has read enough.
  if (systemCode(error) === "EPIPE") return silent(0);
  const message = oneLine(messageOf(error));
  if (error instanceof AttentionBypassError) {
    return { report: { code: error.code, message }, exitCode: exitCodes[error.code] };
  }
  return { report: { code: systemCode(error) ?? "UNEXPECTED", message }, exitCode: unexpected };
}
