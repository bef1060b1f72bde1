import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import type { JsonOption } from "./output.js";

/** The format of a sweep's result. */
export type OutputFormat = "json" | "csv" | "text";

const formatsByEnding: Readonly<Record<string, OutputFormat>> = { ".json": "json", ".csv": "csv", ".txt": "text" };

interface Options extends JsonOption {
  csv?: boolean;
  output?: string;
}

function invalid(message: string): AttentionBypassError {
  return new AttentionBypassError("INVALID_ARGUMENT", message);
}

/** Returns the format that the options and the ending of the file's name select. Throws INVALID_ARGUMENT. */
export function outputFormat({ json, csv, output }: Options): OutputFormat {
  if (csv && json) throw invalid("expected --csv or --json but received both");
  const asked = json ? "json" : csv ? "csv" : undefined;
  if (output === undefined) return asked ?? "text";
  const named = formatsByEnding[path.extname(output).toLowerCase()];
  if (asked === undefined && named === undefined) {
    throw invalid(
      `expected a file name that ends in .json, .csv or .txt for --output but received ${output}; use one of these endings, or add --json or --csv`,
    );
  }
  if (asked !== undefined && named !== undefined && asked !== named) {
    throw invalid(`expected a name that ends in .${asked} with --${asked} but received ${output}; omit one of them`);
  }
  return (asked ?? named) as OutputFormat;
}
