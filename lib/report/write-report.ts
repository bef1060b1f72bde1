import path from "node:path";
import * as v from "valibot";
import { invalidArgument, pathText, validate } from "../errors/validation.js";
import { writeOutput, writeOutputs } from "../files/output-file.js";
import { drawFigure } from "./draw.js";
import type { Figure } from "./figure.js";
import { toMarkdown } from "./markdown.js";
import type { Report } from "./report.js";
import { reportSchema } from "./schema.js";

/** Options of `writeReport`. */
export interface WriteReportOptions {
  /**
   * The name of the figure to write to an .svg or .png file. Not allowed for other formats. Defaults to the first
   * figure.
   */
  figure?: string;
}

const schema = v.strictObject({ figure: v.optional(v.string()) });

export const reportFormats = [".html", ".md", ".svg", ".png"] as const;
type Format = (typeof reportFormats)[number];

/**
 * Returns the format of a report file from the end of its name. `name` is used in error messages. Throws
 * INVALID_ARGUMENT.
 */
export function reportFormat(file: string, name = "file"): Format {
  const ending = path.extname(validate(pathText, file, name)).toLowerCase();
  const format = reportFormats.find((known) => known === ending);
  if (format === undefined) throw invalidArgument(name, `a path that ends in ${reportFormats.join(", ")}`, file);
  return format;
}

function figureOf({ figures }: Report, name: string | undefined): Figure {
  const figure = name === undefined ? figures[0] : figures.find((one) => one.name === name);
  if (figure !== undefined) return figure;
  const names = figures.map((one) => one.name).join(", ");
  throw invalidArgument("options.figure", names === "" ? "a report with figures" : `a figure among ${names}`, name);
}

/** Writes Markdown, and each figure as an SVG file next to it: NAME-by-block.svg and so on. */
async function saveMarkdown(file: string, report: Report): Promise<void> {
  const images = new Map<string, string>();
  const outputs: [string, string][] = [];
  for (const figure of report.figures) {
    const image = `${file.slice(0, -path.extname(file).length)}-${figure.name}.svg`;
    outputs.push([image, await drawFigure(figure, "svg")]);
    images.set(figure.name, path.basename(image));
  }
  await writeOutputs([[file, toMarkdown(report, images)], ...outputs]);
}

/**
 * Writes a report in the format that the file name ends in: .html for one page with everything, .md for Markdown with
 * its figures as SVG files next to it, and .svg or .png for one figure. Files are written atomically: whole or not at
 * all. Throws INVALID_ARGUMENT, DISK_FULL, WRITE_FAILED, and FONT_MISSING for a PNG on a machine without fonts.
 */
export async function writeReport(report: Report, file: string, options: WriteReportOptions = {}): Promise<void> {
  const checked = validate(reportSchema, report, "report") as Report;
  const format = reportFormat(file);
  const { figure } = validate(schema, options, "options");
  if (figure !== undefined && (format === ".html" || format === ".md")) {
    throw invalidArgument("options.figure", "no value, since .html and .md files contain all figures,", figure);
  }
  if (format === ".md") return saveMarkdown(file, checked);
  if (format === ".html") {
    const { toPage } = await import("./page.js");
    return writeOutput(file, await toPage(checked));
  }
  const drawn = figureOf(checked, figure);
  await writeOutput(file, format === ".svg" ? await drawFigure(drawn, "svg") : await drawFigure(drawn, "png"));
}
