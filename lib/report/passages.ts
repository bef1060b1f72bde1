import { fill } from "./html.js";

/** A token of a passage, with its text and probability. */
export interface ReportToken {
  /** The text of the token. */
  text: string;
  /** The probability of the token. */
  probability: number;
}

/** A passage of a report: its text under several models next to each other, coloured by the probability of each token. */
export interface ReportPassage {
  /** The title, such as the document and the place in it. */
  title: string;
  /** The text before the passage, which the model is given. */
  prefix: string;
  /** The passage under each model. */
  panels: {
    /** The name of the model or bypass. */
    title: string;
    /** One line about the passage under it. */
    note: string;
    /** The tokens of the passage. */
    tokens: ReportToken[];
    /** What is left out at the end, such as "300 more characters". Empty if nothing is. */
    omitted: string;
  }[];
}

/** The passages of a report. */
export interface ReportPassages {
  /** The text above the passages. */
  caption: string;
  /** The passages, in the order in which they are shown. */
  list: ReportPassage[];
}

/**
 * The lowest probability of each colour, and the colour. One hue from light to dark, so that the order is visible to
 * colour-blind people and on paper.
 */
export const probabilityClasses: readonly { from: number; background: string; color: string }[] = [
  { from: 0.9, background: "#08306b", color: "#ffffff" },
  { from: 0.5, background: "#2171b5", color: "#ffffff" },
  { from: 0.1, background: "#6baed6", color: "#000000" },
  { from: 0.01, background: "#bdd7ee", color: "#000000" },
  { from: 0.001, background: "#e6f0f9", color: "#000000" },
  { from: 0, background: "#ffffff", color: "#000000" },
];

const classOf = (probability: number) => probabilityClasses.findIndex(({ from }) => probability >= from);

/** The style of the passages of a page. */
export const passageStyle = [
  ".legend span, .tokens span { -webkit-print-color-adjust: exact; print-color-adjust: exact; }",
  ".legend span { padding: .1em .5em; margin-right: .3em; border: 1px solid #999; white-space: nowrap; }",
  ".legend, .panel h4, .panel p { font: .8rem/1.45 Helvetica, Arial, sans-serif; }",
  ".passage { break-inside: avoid; margin: 1.6rem 0; } .passage h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }",
  ".prefix { color: #555; font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .5rem; }",
  ".panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }",
  ".panel { min-width: 0; } .panel h4 { font-weight: 600; margin: 0; } .panel p { color: #444; margin: 0 0 .3rem; }",
  ".tokens { font: .8rem/1.75 Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre-wrap; overflow-wrap: anywhere; }",
  ...probabilityClasses.map(
    ({ background, color }, index) => `.p${index} { background: ${background}; color: ${color}; }`,
  ),
].join("\n  ");

const template = `<p class="legend">token probability: <% for (const { name, label } of it.legend) { %><span class="<%= name %>"><%= label %></span><% } %></p>
<% for (const { title, prefix, panels } of it.passages) { %><section class="passage"><h3><%= title %></h3>
<p class="prefix"><%= prefix %></p>
<div class="panels"><% for (const panel of panels) { %><div class="panel"><h4><%= panel.title %></h4><p><%= panel.note %></p>
<div class="tokens"><% for (const { name, text, label } of panel.tokens) { %><span class="<%= name %>" title="<%= label %>"><%= text %></span><% } %><% if (panel.omitted !== "") { %> … (<%= panel.omitted %>)<% } %></div></div>
<% } %></div></section>
<% } %>`;

/** Returns passages as HTML, with a legend. */
export function passagesHtml(passages: readonly ReportPassage[]): string {
  const legend = probabilityClasses.map(({ from }, index) => ({
    name: `p${index}`,
    label: from > 0 ? `from ${from}` : `below ${probabilityClasses[index - 1]?.from}`,
  }));
  const coloured = passages.map((passage) => ({
    ...passage,
    panels: passage.panels.map((panel) => ({
      ...panel,
      tokens: panel.tokens.map(({ text, probability }) => ({
        name: `p${classOf(probability)}`,
        text,
        label: probability.toPrecision(3),
      })),
    })),
  }));
  return fill(template, { legend, passages: coloured });
}
