import { stringify } from "csv-stringify/sync";
import { createReport, type Report } from "../report/report.js";
import { createTrainingReport } from "../report/training-report.js";
import type { RevisionsResult } from "../revisions/result.js";
import { revisionsTable } from "../revisions/table.js";
import { revisionsText } from "../revisions/text.js";
import type { SweepResult } from "../sweep/result.js";
import { sweepTable } from "../sweep/table.js";
import { sweepText } from "../sweep/text.js";
import type { OutputFormat } from "./output-format.js";

/** The result of a sweep, or of one for each revision. */
export type Result = { sweep: SweepResult } | { revisions: RevisionsResult };

export function toText(result: Result, format: OutputFormat): string {
  if ("sweep" in result) {
    if (format === "json") return `${JSON.stringify(result.sweep, null, 2)}\n`;
    return format === "csv" ? stringify(sweepTable(result.sweep)) : sweepText(result.sweep);
  }
  if (format === "json") return `${JSON.stringify(result.revisions, null, 2)}\n`;
  return format === "csv" ? stringify(revisionsTable(result.revisions)) : revisionsText(result.revisions);
}

export function toReport(result: Result, name: string): Report {
  return "sweep" in result ? createReport(result.sweep, { name }) : createTrainingReport(result.revisions, { name });
}
