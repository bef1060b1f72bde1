import { Eta } from "eta";
import type { ReportTable } from "./report-table.js";

const table = `<table>
<thead><tr><% for (const cell of it.head) { %><th><%= cell %></th><% } %></tr></thead>
<tbody><% for (const row of it.rows) { %><tr><% for (const cell of row) { %><td><%= cell %></td><% } %></tr>
<% } %></tbody></table>`;

const eta = new Eta();

/** Returns HTML from an Eta template. Eta escapes the data. */
export function fill(template: string, data: object): string {
  return eta.renderString(template, data);
}

/** Returns a table as HTML, without its title. */
export function tableHtml({ head, rows }: ReportTable): string {
  return fill(table, { head, rows });
}
