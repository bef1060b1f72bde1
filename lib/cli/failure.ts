import { CommanderError } from "commander";
import { AttentionBypassError, messageOf, systemCode } from "../errors/errors.js";
import { visible } from "../errors/visible.js";
import { exitCodes, unexpected } from "./exit-codes.js";
import { withFlags } from "./option-names.js";

/** A failure as the command line reports it. */
export interface Failure {
  /** Undefined if nothing is printed. */
  report: { code: string; message: string } | undefined;
  exitCode: number;
}

const silent = (exitCode: number): Failure => ({ report: undefined, exitCode });

function oneLine(message: string): string {
  return visible(message.trim().replace(/\s*[\r\n]\s*/g, " "));
}

/** Writes an error to stderr that does not end the command. */
export function reportError(error: unknown): void {
  const code = error instanceof AttentionBypassError ? error.code : (systemCode(error) ?? "UNEXPECTED");
  process.stderr.write(`attention-bypass: ${oneLine(messageOf(error))} [${code}]\n`);
}

/** Advice for an unknown option or a surplus argument. */
function hint(code: string, command: string | undefined): string {
  const prompt = command === "generate";
  if (code === "commander.unknownOption") {
    return prompt
      ? '; write a prompt that begins with - after --, as in generate MODEL -- "-text"'
      : "; write an argument that begins with - after --";
  }
  return prompt && code === "commander.excessArguments" ? "; write a prompt of several words in quotes" : "";
}

/** Converts an error to a failure. args: the command line, from the command on. */
export function toFailure(error: unknown, args: readonly string[] = []): Failure {
  if (error instanceof CommanderError) {
    // Commander throws for help and version too, after it has printed them.
    if (error.exitCode === 0) return silent(0);
    if (error.code === "commander.help") return silent(exitCodes.INVALID_ARGUMENT);
    const message = oneLine(error.message.replace(/^error: /, ""));
    return {
      report: { code: "INVALID_ARGUMENT", message: `${message}${hint(error.code, args[0])}` },
      exitCode: exitCodes.INVALID_ARGUMENT,
    };
  }
  // The reader of the output has closed the pipe.
  if (systemCode(error) === "EPIPE") return silent(0);
  const message = oneLine(messageOf(error));
  if (error instanceof AttentionBypassError) {
    return { report: { code: error.code, message: withFlags(message) }, exitCode: exitCodes[error.code] };
  }
  return { report: { code: systemCode(error) ?? "UNEXPECTED", message }, exitCode: unexpected };
}
