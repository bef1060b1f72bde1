// Figures and reports in a notebook: what a display is handed, and in which order.
import { createReport, type Display, drawFigure, type Figure, showFigure, showReport } from "attention-bypass";
import t from "tap";
import { type Counts, madeUpSweep } from "./support/made-up-sweep.ts";
import { type Anything, refuses, shown } from "./support/refusals.ts";

const blocks: Counts[] = [
  [0, 40],
  [45, 55],
  [81, 70],
  [90, 73],
];
const report = createReport(madeUpSweep([90, 70], blocks, blocks), { name: "<b>&model" });
const [figure] = report.figures as [Figure];

/** A display that keeps what it is handed. */
class Kept implements Display {
  readonly outputs: { kind: "svg" | "html"; text: string }[] = [];
  svg(text: string): void {
    this.outputs.push({ kind: "svg", text });
  }
  html(text: string): void {
    this.outputs.push({ kind: "html", text });
  }
}

t.test("a figure has its title above and its caption below", async (t) => {
  const display = new Kept();
  await showFigure({ ...figure, title: "<b>Title", caption: "A & B" }, display);
  const [title, drawn, caption] = display.outputs;
  t.equal(display.outputs.length, 3);
  t.match(title, { kind: "html", text: /^<h3>&lt;b>Title<\/h3>$|^<h3>&lt;b&gt;Title<\/h3>$/ });
  t.match(drawn, { kind: "svg", text: /^<svg[\s\S]*<\/svg>$/ });
  t.same(caption, { kind: "html", text: "<p>A &amp; B</p>" });
});

t.test("a report has its findings, then its figures, then its tables", async (t) => {
  const display = new Kept();
  await showReport(report, display);
  const { figures, tables, findings } = report;
  t.same(
    display.outputs.map(({ kind }) => kind),
    ["html", ...figures.flatMap(() => ["html", "svg", "html"]), ...tables.map(() => "html")],
  );
  const opening = display.outputs[0]?.text ?? "";
  t.equal(opening.split("<li>").length - 1, findings.length);
  t.notOk(opening.includes("<b>"));
  const [first] = tables.map(({ rows }) => rows.length);
  const table = display.outputs.at(1 + 3 * figures.length)?.text ?? "";
  t.equal(table.split("<tr>").length - 1, 1 + (first ?? 0));
});

t.test("a report without findings, figures and tables", async (t) => {
  const display = new Kept();
  await showReport({ ...report, findings: [], figures: [], tables: [] }, display);
  t.equal(display.outputs.length, 1);
  t.notMatch(display.outputs[0]?.text, /<ul>/);
});

t.test("figures of one page share no ids", async (t) => {
  const attention = report.figures.find(({ name }) => name === "attention") as Figure;
  const clipped = (values: number[]): Figure => ({
    ...figure,
    spec: {
      width: 100,
      height: 100,
      data: { values: values.map((x) => ({ x, y: x })) },
      mark: { type: "point", clip: true },
      encoding: { x: { field: "x", type: "quantitative" }, y: { field: "y", type: "quantitative" } },
    },
  });
  const ids = (svg: string) => [...svg.matchAll(/\bid="([^"]*)"/g)].map(([, id]) => id as string);
  const used = (svg: string) => [...svg.matchAll(/url\(#([^)]*)\)/g)].map(([, id]) => id as string);
  const all: string[] = [];
  for (const one of [attention, clipped([1, 2]), clipped([1, 3])]) {
    const svg = await drawFigure(one, "svg");
    t.ok(ids(svg).length > 0, "it has some");
    t.same([...new Set(used(svg))].sort(), ids(svg).sort(), "what is used is there");
    all.push(...ids(svg));
    t.equal(await drawFigure(one, "svg"), svg, "the same each time");
  }
  t.equal(new Set(all).size, all.length);
});

t.test("what can't be shown, and by what", async (t) => {
  const display = new Kept();
  for (const value of [undefined, null, 5, "x", () => undefined] as Anything[]) {
    const refused = (name: string, work: () => Promise<void>, ...said: string[]) =>
      refuses(t, `${name} ${shown(value)}`, work, "INVALID_ARGUMENT", ...said, shown(value));
    await refused("showFigure by", () => showFigure(figure, value), "for display but");
    await refused("showReport by", () => showReport(report, value), "for display but");
    await refused("showFigure", () => showFigure(value, display), "for figure but");
    await refused("showReport", () => showReport(value, display), "for report but");
  }
  const svg = () => undefined;
  await refuses(t, "no svg", () => showFigure(figure, {} as Display), "INVALID_ARGUMENT", "display.svg");
  await refuses(t, "no html", () => showReport(report, { svg } as Anything), "INVALID_ARGUMENT", "display.html");
  const wrong = (changed: object, place: string) =>
    refuses(t, place, () => showReport({ ...report, ...changed }, display), "INVALID_ARGUMENT", `report.${place}`);
  await wrong({ findings: "none" }, "findings");
  await wrong({ figures: [{ ...figure, spec: null }] }, "figures.0.spec");
  await wrong({ tables: [{ ...report.tables[0], rows: [[1]] }] }, "tables.0.rows.0.0");
  t.same(display.outputs, [], "nothing is shown");
});
