import { CommanderError } from "commander";
import { AttentionBypassError, messageOf, systemCode } from "../errors/errors.js";
import { visible } from "../errors/visible.js";
import { exitCodes, unexpected } from "./exit-codes.js";
import { withFlags } from "./option-names.js";

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

/** What helps with a word that is taken for an option, or one too many. */
function hint(code: string, command: string | undefined): string {
  const prompt = command === "generate";
  if (code === "commander.unknownOption") {
    return prompt
      ? '; a prompt that begins with - goes after --, as in generate MODEL -- "-text"'
      : "; an argument that begins with - goes after --";
  }
  return prompt && code === "commander.excessArguments" ? "; a prompt of several words goes in quotes" : "";
}

/** `args` are those of the command line, the command first. */
export function toFailure(error: unknown, args: readonly string[] = []): Failure {
  if (error instanceof CommanderError) {
    // Help and version arrive as errors too, already printed.
    if (error.exitCode === 0) return silent(0);
    if (error.code === "commander.help") return silent(exitCodes.INVALID_ARGUMENT);
    const message = oneLine(error.message.replace(/^error: /, ""));
    return {
      report: { code: "INVALID_ARGUMENT", message: `${message}${hint(error.code, args[0])}` },
      exitCode: exitCodes.INVALID_ARGUMENT,
    };
  }
  // Who reads our output has read enough.
  if (systemCode(error) === "EPIPE") return silent(0);
  const message = oneLine(messageOf(error));
  if (error instanceof AttentionBypassError) {
    return { report: { code: error.code, message: withFlags(message) }, exitCode: exitCodes[error.code] };
  }
  return { report: { code: systemCode(error) ?? "UNEXPECTED", message }, exitCode: unexpected };
}
