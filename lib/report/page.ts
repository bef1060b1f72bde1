import { drawFigure } from "./draw.js";
import { fill, tableHtml } from "./html.js";
import { passageStyle, passagesHtml } from "./passages.js";
import type { Report } from "./report.js";
import { settingsText } from "./settings-text.js";

const template = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title><%= it.title %></title>
<style>
  body { font: 16px/1.5 Georgia, "Times New Roman", serif; color: #1a1a1a; max-width: 56rem; margin: 2.5rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .3rem; }
  h2 { font-size: 1.2rem; margin-top: 2.4rem; }
  .model { color: #555; margin-top: 0; }
  .findings { border-left: 3px solid #0072B2; padding-left: 1rem; }
  figure { margin: 1rem 0; }
  figure svg { max-width: 100%; height: auto; }
  figcaption { font-size: .88rem; color: #444; margin-top: .4rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; border-top: 1.5px solid #333; font: .8rem/1.45 Helvetica, Arial, sans-serif; font-variant-numeric: tabular-nums; }
  thead th { border-bottom: 1.5px solid #333; font-weight: 600; vertical-align: bottom; }
  th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
  thead th { white-space: normal; }
  th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: nowrap; }
  tbody tr:last-child td { border-bottom: 1.5px solid #333; }
  pre { background: #f6f6f6; padding: .8rem; font-size: .75rem; overflow-x: auto; }
  <%~ it.passageStyle %>
  @media print { body { max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } .wide { overflow: visible; } pre { white-space: pre-wrap; } }
</style>
<h1><%= it.title %></h1>
<p class="model"><%= it.description %></p>
<% if (it.findings.length > 0) { %><div class="findings"><% for (const sentence of it.findings) { %><p><%= sentence %></p><% } %></div><% } %>

<% for (const { title, svg, caption } of it.figures) { %>
<h2><%= title %></h2>
<figure><%~ svg %><figcaption><%= caption %></figcaption></figure>
<% } %>

<% if (it.passages !== undefined) { %>
<h2>Passages</h2>
<p><%= it.passages.caption %></p>
<%~ it.passages.html %>
<% } %>

<% for (const { title, html } of it.tables) { %>
<h2><%= title %></h2>
<div class="wide"><%~ html %></div>
<% } %>

<h2>Settings</h2>
<pre><%= it.settings %></pre>
</html>
`;

/** Returns a report as one HTML page that loads no other files. */
export async function toPage(report: Report): Promise<string> {
  const figures = await Promise.all(
    report.figures.map(async (figure) => ({ ...figure, svg: await drawFigure(figure, "svg") })),
  );
  const tables = report.tables.map((table) => ({ title: table.title, html: tableHtml(table) }));
  const passages = report.passages && {
    caption: report.passages.caption,
    html: passagesHtml(report.passages.list),
  };
  const settings = settingsText(report);
  return fill(template, {
    ...report,
    figures,
    passages,
    passageStyle: passages === undefined ? "" : passageStyle,
    tables,
    settings,
  });
}
