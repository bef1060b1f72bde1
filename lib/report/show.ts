import { invalidArgument, reading, validate } from "../errors/validation.js";
import { drawFigure } from "./draw.js";
import type { Figure } from "./figure.js";
import type { Report } from "./report.js";
import { figureSchema, reportSchema } from "./schema.js";

/** An object that shows output in a notebook, such as tslab's `display`. */
export interface Display {
  /** Shows an SVG document. */
  svg(text: string): void;
  /** Shows an HTML fragment. */
  html(text: string): void;
}

function checkDisplay(display: Display): void {
  if (typeof display !== "object" || display === null) {
    throw invalidArgument("display", "an object with the methods svg and html", display);
  }
  for (const method of ["svg", "html"] as const) {
    const found: unknown = reading(`display.${method}`, () => display[method]);
    if (typeof found !== "function") throw invalidArgument(`display.${method}`, "a function", found);
  }
}

/** Imported at the first use, so that other programs do not load the template engine. */
const loadHtml = () => import("./html.js");

async function show({ title, caption }: Figure, svg: string, display: Display): Promise<void> {
  const { fill } = await loadHtml();
  display.html(fill("<h3><%= it.title %></h3>", { title }));
  display.svg(svg);
  display.html(fill("<p><%= it.caption %></p>", { caption }));
}

/** Shows a figure in a notebook: its title, the figure as SVG, and its caption. Throws INVALID_ARGUMENT. */
export async function showFigure(figure: Figure, display: Display): Promise<void> {
  const checked = validate(figureSchema, figure, "figure");
  checkDisplay(display);
  await show(checked, await drawFigure(checked, "svg"), display);
}

const opening = `<h2><%= it.title %></h2>
<p><%= it.description %></p>
<% if (it.findings.length > 0) { %><ul><% for (const sentence of it.findings) { %><li><%= sentence %></li><% } %></ul><% } %>`;

const titledTable = '<h3><%= it.title %></h3>\n<div style="overflow-x: auto"><%~ it.html %></div>';

/**
 * Shows a report in a notebook: the findings, the figures and the tables. All figures are drawn before the first one is
 * shown. Throws INVALID_ARGUMENT.
 */
export async function showReport(report: Report, display: Display): Promise<void> {
  const checked = validate(reportSchema, report, "report");
  checkDisplay(display);
  const { fill, tableHtml } = await loadHtml();
  const drawn = await Promise.all(
    checked.figures.map(async (figure) => ({ figure, svg: await drawFigure(figure, "svg") })),
  );
  display.html(fill(opening, checked));
  for (const { figure, svg } of drawn) await show(figure, svg, display);
  if (checked.passages !== undefined) {
    const { passagesHtml, passageStyle } = await import("./passages.js");
    display.html(fill("<h3>Passages</h3>\n<p><%= it.caption %></p>", checked.passages));
    display.html(`<style>${passageStyle}</style>\n${passagesHtml(checked.passages.list)}`);
  }
  for (const table of checked.tables) {
    display.html(fill(titledTable, { title: table.title, html: tableHtml(table) }));
  }
}
