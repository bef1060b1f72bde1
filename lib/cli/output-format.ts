import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import type { JsonOption } from "./output.js";

/** How the result of a sweep is written. */
export type OutputFormat = "json" | "csv" | "text";

const formatsByEnding: Readonly<Record<string, OutputFormat>> = { ".json": "json", ".csv": "csv", ".txt": "text" };

interface Options extends JsonOption {
  csv?: boolean;
  output?: string;
}

function invalid(message: string): AttentionBypassError {
  return new AttentionBypassError("INVALID_ARGUMENT", message);
}

/** The format that the options ask for and that the name of the file agrees with. Throws INVALID_ARGUMENT. */
export function outputFormat({ json, csv, output }: Options): OutputFormat {
  if (csv && json) throw invalid("expected --csv or --json but received both");
  const asked = json ? "json" : csv ? "csv" : undefined;
  if (output === undefined) return asked ?? "text";
  const named = formatsByEnding[path.extname(output).toLowerCase()];
  if (asked === undefined && named === undefined) {
    throw invalid(
      `expected a name that ends in .json, .csv or .txt for --output but received ${output}; rename it, or add --json or --csv`,
    );
  }
  if (asked !== undefined && named !== undefined && asked !== named) {
    throw invalid(
      `expected a name that ends in .${asked} beside --${asked} but received ${output}; leave one of both out`,
    );
  }
  return (asked ?? named) as OutputFormat;
}
