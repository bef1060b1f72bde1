import { readFileSync } from "node:fs";
import { existingNotebookPython } from "../../scripts/notebook.mjs";

/** Whether notebooks can be executed, which CI must be able to. */
export function canExecuteNotebooks(): boolean {
  const able = existingNotebookPython() !== undefined;
  if (!able && process.env.CI === "true") throw new Error("expected Jupyter with tslab on CI");
  return able;
}

export const noJupyter = "there is no Jupyter with tslab";

interface Output {
  output_type: string;
  name?: string;
  text?: string | string[];
  data?: Record<string, string | string[]>;
}

/** What a cell of a notebook file has put out. */
export interface Cell {
  id: string;
  /** Outputs that say how it failed, and what it has written to stderr, where tslab tells of what was thrown. */
  errors: string[];
  stdout: string;
  /** By the media type. */
  shown: [type: string, text: string][];
}

const joined = (text: string | string[] | undefined) => (Array.isArray(text) ? text.join("") : (text ?? ""));

export function readCells(file: string): Cell[] {
  const { cells } = JSON.parse(readFileSync(file, "utf8")) as {
    cells: { id: string; outputs?: Output[] }[];
  };
  return cells.map(({ id, outputs = [] }) => ({
    id,
    errors: outputs
      .filter(({ output_type, name }) => output_type === "error" || name === "stderr")
      .map((output) => JSON.stringify(output)),
    stdout: outputs
      .filter(({ name }) => name === "stdout")
      .map(({ text }) => joined(text))
      .join(""),
    shown: outputs.flatMap(({ data = {} }) =>
      Object.entries(data).map(([type, text]): [string, string] => [type, joined(text)]),
    ),
  }));
}
