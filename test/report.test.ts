// Reports: shares and intervals by hand, what is drawn of what, and files in each format.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  createReport,
  drawFigure,
  type ErrorCode,
  type Figure,
  type Report,
  type SweepResult,
  writeReport,
} from "attention-bypass";
import t from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { type Counts, madeUpSweep, withControl } from "./support/made-up-sweep.ts";
import { refuses } from "./support/refusals.ts";

const blocks: Counts[] = [
  [0, 40],
  [45, 55],
  [81, 70],
  [90, 73],
];
const quartiles: Counts[] = [...blocks].reverse();
const whole = madeUpSweep([90, 70], blocks, quartiles);
const names = (report: Report) => report.figures.map(({ name }) => name);
const everything = ["by-block", "by-quartile", "trade-off", "by-task", "distance", "attention"];

/** The cells of a row of a report's table, by the table's columns. */
function cells(report: Report, title: string, row: string, mode = "zero"): Record<string, string> {
  const table = report.tables.find((one) => one.title === title);
  const found = table?.rows.find((line) => line[0] === row && [mode, ""].includes(line[1] as string)) ?? [];
  return Object.fromEntries((table?.head ?? []).map((column, index) => [column, found[index] as string]));
}

t.test("shares are of the unmodified model, and of accuracy above chance", async (t) => {
  const report = createReport(whole);
  const of = (row: string) => cells(report, "Measurements under each bypass", row);
  // 45 of 90 matched; (55 - 25) / (70 - 25) above chance.
  t.match(of("block 1"), {
    "exact match": /^45 % \[/,
    "memorization remaining": /^50 % \[/,
    "ability remaining": /^67 % \[/,
  });
  t.match(of("block 0"), { "memorization remaining": "0 % [0, 0]", "ability remaining": /^33 % \[/ });
  t.match(of("block 2"), {
    "memorization remaining": /^90 % \[/,
    "ability remaining": "100 % [100, 100]",
    perplexity: "12.00",
  });
  t.match(of("none"), { "exact match": /^90 % \[/, "quiz, %": "70.0 ± 5.0", perplexity: "9.000" });
});

t.test("intervals come near those of the normal distribution", async (t) => {
  const shown = cells(createReport(whole), "Measurements under each bypass", "block 1")["memorization remaining"] ?? "";
  const [value = 0, low = 0, high = 0] = [...shown.matchAll(/\d+/g)].map(([number]) => Number(number));
  t.equal(value, 50);
  // Of the 90 rows that the base matches about half are: sqrt(0.5 * 0.5 / 90) is 0.053.
  const half = 100 * 1.96 * 0.053;
  t.ok(Math.abs(low - (50 - half)) < 2, `${low}`);
  t.ok(Math.abs(high - (50 + half)) < 2, `${high}`);
});

t.test("what was not measured is not drawn", async (t) => {
  t.same(names(createReport(whole)), everything);
  const without = (...fields: string[]) => {
    const bare = JSON.parse(JSON.stringify(whole)) as SweepResult;
    for (const scores of [bare, bare.base, ...bare.variants]) {
      for (const field of fields) delete (scores as unknown as Record<string, unknown>)[field];
    }
    return createReport(bare);
  };
  t.same(names(without("attention", "divergence")), everything.slice(0, 4));
  t.same(names(without("tasks", "attention")), ["by-block", "by-quartile", "distance"]);
  t.same(names(without("memorization", "divergence")), ["by-block", "by-quartile", "by-task", "attention"]);
  t.same(names(without("memorization", "tasks", "perplexity")), ["distance", "attention"]);
  t.same(without("memorization", "tasks", "perplexity", "divergence", "attention").figures, []);
  t.same(names(createReport(madeUpSweep([0, 70], blocks))), ["by-block", "by-task", "distance", "attention"]);
  const unable = createReport(madeUpSweep([90, 27], blocks));
  t.same(names(unable), ["by-block", "distance", "attention"]);
  t.match(unable.findings[0], /is not above chance at 95 % on quiz, so ability does not include this task/);
  t.equal(cells(unable, "Measurements under each bypass", "block 1")["ability remaining"], "–");
});

t.test("findings say which way round it is", async (t) => {
  const depths = (counts: Counts[]) =>
    createReport(madeUpSweep([90, 70], blocks, counts)).findings.find((sentence) => /first quarter/.test(sentence));
  const deep: Counts[] = [
    [80, 40],
    [80, 70],
    [80, 70],
    [9, 70],
  ];
  t.match(depths(deep), /last quarter of the blocks leaves 10 % of the memorization and 100 % of the ability/);
  t.match(
    depths(deep),
    /deep blocks removes more memorization than ability, .* early blocks removes more ability than/,
  );
  const reversed = depths([...deep].reverse());
  t.match(reversed, /deep blocks does not remove more memorization .* early blocks does not remove more ability than/);
  const halves = createReport(madeUpSweep([90, 70], deep)).findings.join(" ");
  t.match(halves, /second half \(mean\) leaves 49 % of the memorization and 100 % .* removes more memorization than/);
  // Perplexity is 10 and more there, and 9 without a bypass.
  t.match(
    createReport(whole).findings.join(" "),
    /No bypass removes memorization within the tolerances: .* 1 point of accuracy and a measured perplexity increase of at most 5 %/,
  );
  const kept = structuredClone(whole);
  for (const { perplexity } of kept.variants) if (perplexity) perplexity.perplexity = 9;
  t.match(
    createReport(kept).findings.join(" "),
    /Recommended bypass: block 2 \(zero\)\. .* a measured loss of at most 1 point of accuracy/,
  );
});

t.test("the same from a file as at once", async (t) => {
  t.same(createReport(JSON.parse(JSON.stringify(whole))), createReport(whole));
});

t.test("a page holds everything, and asks for nothing from elsewhere", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "report.html");
  const report = createReport(whole, { name: "<b>&model" });
  report.figures.push({ ...(report.figures[0] as Figure), name: "own", title: "My own" });
  await writeReport(report, file);
  const page = readFileSync(file, "utf8");
  t.equal(page.split("<svg").length - 1, everything.length + 1);
  const shown = page.replaceAll("&#39;", "'");
  for (const { title, caption } of report.figures) t.ok(shown.includes(title) && shown.includes(caption), title);
  t.ok(page.includes("ability in &lt;b>&amp;model") || page.includes("ability in &lt;b&gt;&amp;model"));
  t.notOk(page.includes("<b>"));
  const addresses = [...page.matchAll(/https?:\/\/[^"' <]*/g)].map(([address]) => address);
  t.same([...new Set(addresses)].sort(), ["http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"]);
  t.same(page.match(/<script|<link|@import|NaN|undefined/g), null);
  t.ok(page.includes("&quot;blockCount&quot;: 4"));
});

t.test("Markdown has the tables, and its figures beside it", async (t) => {
  const folder = await temporaryFolder(t);
  await writeReport(createReport(whole, { name: "my|model" }), path.join(folder, "my report.md"));
  const text = readFileSync(path.join(folder, "my report.md"), "utf8");
  t.match(text, /^# How bypasses change memorization and ability in my\|model\n/);
  t.match(text, /\n\| none \| {2}\| 90 % \[[^\n]*\n\| block 0 \| zero \|/);
  for (const name of everything) {
    t.ok(text.includes(`](<my report-${name}.svg>)`), name);
    t.match(readFileSync(path.join(folder, `my report-${name}.svg`), "utf8"), /^<svg/);
  }
});

t.test("single figures", async (t) => {
  const folder = await temporaryFolder(t);
  const report = createReport(whole);
  const svg = path.join(folder, "a.SVG");
  await writeReport(report, svg, { figure: "trade-off" });
  t.equal(readFileSync(svg, "utf8"), await drawFigure(report.figures[2] as Figure, "svg"));
  t.match(readFileSync(svg, "utf8"), />Q4</);
  const png = path.join(folder, "a.png");
  const fonts = ["/usr/share/fonts", "/usr/local/share/fonts"].some(existsSync);
  if (!fonts) return refuses(t, "a PNG", () => writeReport(report, png), "FONT_MISSING", "apt-get");
  await writeReport(report, png);
  const bytes = readFileSync(png);
  const size = /width="([\d.]+)" height="([\d.]+)"/.exec(await drawFigure(report.figures[0] as Figure, "svg"));
  t.equal(bytes.subarray(1, 4).toString(), "PNG");
  t.ok(Math.abs(bytes.readUInt32BE(16) - 2 * Number(size?.[1])) < 2, "two pixels for each");
  t.ok(Math.abs(bytes.readUInt32BE(20) - 2 * Number(size?.[2])) < 2);
});

t.test("figures are what Vega-Lite takes without a warning", async (t) => {
  const warnings = t.capture(console, "warn");
  const many = Array.from({ length: 36 }, (_, index): Counts => [90 - index, 70]);
  const modes = (["zero", "short-circuit", "mean"] as const).map((mode) =>
    madeUpSweep([90, 70], many, quartiles, mode),
  );
  const [first] = modes as [SweepResult];
  const reports = [
    createReport(whole),
    createReport({ ...first, variants: modes.flatMap(({ variants }) => variants) }),
    createReport(whole, { compare: { name: "other", sweep: madeUpSweep([80, 60], blocks) } }),
    createReport(whole, { compare: { name: "deeper", sweep: first } }),
    createReport(controlled()),
    createReport(controlled(), { name: "one", compare: { name: "other", sweep: controlled() } }),
  ];
  for (const { figures } of reports) {
    for (const figure of figures) t.match(await drawFigure(figure, "svg"), /^<svg[\s\S]*<\/svg>$/, figure.name);
  }
  t.same(
    warnings().map(({ args }) => args),
    [],
  );
});

t.test("two sweeps next to each other", async (t) => {
  const other = madeUpSweep([90, 70], [[45, 70], ...blocks.slice(1)]);
  const report = createReport(whole, { name: "one", compare: { name: "two", sweep: other } });
  const of = (row: string) => cells(report, "Comparison of one and two", row);
  t.same(names(report), ["comparison"]);
  t.match(of("block 0"), {
    "memorization remaining, one": /^0 % \[0/,
    "memorization remaining, two": /^50 % \[/,
    "ability remaining, two": "100 % [100, 100]",
  });
  t.same(of("quartile 1"), Object.fromEntries(Object.keys(of("block 0")).map((column) => [column, undefined])));
  const rows = report.tables[0]?.rows ?? [];
  t.equal(rows.length, 4, "the bypasses of both alone");
  t.match(rows[0]?.[4], /^50 % \[(3\d|4\d), [56]\d\]$/, "the difference");
  t.match(rows[1]?.[4], /^0 % \[-\d+, \d+\]$/);
  t.same(Object.keys(report.settings), ["one", "two"]);
});

/** A sweep that anything can be done to. */
interface SpoiltSweep {
  base: object;
  variants: [SweepResult["base"], object];
  settings?: unknown;
}

/** A sweep with control rows that lose 20 points with block 0 and the first quarter, and with two random sets. */
function controlled(): SweepResult {
  const one = withControl(whole, (name) => (/block 0|quartile 1/.test(name) ? 0.3 : 0.5));
  const sets = one.variants
    .filter(({ kind }) => kind === "block")
    .slice(0, 2)
    .map((variant) => ({ ...variant, name: `random ${variant.name}`, kind: "random" as const }));
  return { ...one, variants: [...one.variants, ...sets] };
}

t.test("control rows and random sets", async (t) => {
  const report = createReport(controlled());
  t.same(names(report), [
    "by-block",
    "by-quartile",
    "selectivity",
    "selectivity-by-quartile",
    "trade-off",
    "by-task",
    "distance",
    "attention",
  ]);
  const title = "Selectivity: drops on the memorized rows and on the control rows";
  // 95 points fall to 50 where none of 100 rows is matched, since 90 were; the control falls from 50 to 30.
  t.match(cells(report, title, "block 0"), {
    "teacher-forced accuracy, points: memorized": /^45\.0 \[/,
    "exact match, points: memorized": /^90\.0 \[/,
  });
  const row = report.tables.find((table) => table.title === title)?.rows.find(([name]) => name === "block 0") ?? [];
  t.match(row.slice(2), [/^90\.0 \[/, "0.0 [0.0, 0.0]", /^90\.0 \[/, /^45\.0 \[/, "20.0 [20.0, 20.0]", /^25\.0 \[/]);
  t.match(cells(report, "Measurements under each bypass", "block 0"), { "exact match, control": "0 % [0, 0]" });
  const shown = (name: string) => JSON.stringify(report.figures.find((figure) => figure.name === name)?.spec);
  for (const name of ["by-block", "by-quartile"]) t.match(shown(name), /"rows":"control rows"/, name);
  t.match(shown("trade-off"), "drop on the control rows");
  for (const name of ["by-quartile", "selectivity-by-quartile"]) t.match(shown(name), /"set":"R"/, name);
  t.match(shown("trade-off"), /"what":"a random set"/);
  t.match(report.findings.join(" "), /The selectivity, which is the drop/);
  t.match(report.findings.join(" "), "does not bypass the MLPs of these blocks");
  const pair = createReport(controlled(), { name: "one", compare: { name: "other", sweep: controlled() } });
  t.same(names(pair), ["comparison"]);
  t.match(JSON.stringify(pair.figures[0]?.spec), /"rows":"control rows"/);
  const mixed = createReport(controlled(), { name: "one", compare: { name: "other", sweep: whole } });
  t.notMatch(JSON.stringify(mixed.figures[0]?.spec), /"rows":"control rows"/, "only one has control rows");
});

t.test("what is no sweep", async (t) => {
  const spoilt = (change: (sweep: SpoiltSweep) => void) => () => {
    const sweep = JSON.parse(JSON.stringify(whole));
    change(sweep);
    createReport(sweep);
  };
  const wrong: [string, () => void][] = [
    ["null", () => createReport(null as unknown as SweepResult)],
    ["nothing in it", () => createReport({} as SweepResult)],
    ["no settings", spoilt((sweep) => delete sweep.settings)],
    ["an unknown mode", spoilt(({ variants }) => Object.assign(variants[0], { mode: "none" }))],
    ["rows that a variant lacks", spoilt(({ variants }) => variants[0].memorization?.perRow.pop())],
    ["tasks that a variant lacks", spoilt(({ variants }) => Object.assign(variants[1], { tasks: {} }))],
    [
      "answers that are none",
      spoilt(({ base }) => Object.assign(base, { tasks: { quiz: { accuracy: 1, perQuestion: [1] } } })),
    ],
    [
      "no standard errors",
      spoilt(({ variants }) => Object.assign(variants[0].tasks?.quiz ?? {}, { standardErrors: 1 })),
    ],
    ["no rows at all", spoilt(({ base }) => Object.assign(base, { memorization: { perRow: [] } }))],
  ];
  for (const [name, call] of wrong) t.throws(call, { name: "AttentionBypassError", code: "SWEEP_INVALID" }, name);
});

t.test("what can't be written or drawn", async (t) => {
  const folder = await temporaryFolder(t);
  const report = createReport(whole);
  const [figure] = report.figures as [Figure];
  const refused = (file: string, options: object, code: ErrorCode, ...said: string[]) =>
    refuses(t, file, () => writeReport(report, path.join(folder, file), options), code, ...said);
  await refused("report.pdf", {}, "INVALID_ARGUMENT", ".html, .md, .svg, .png", "report.pdf");
  await refused("report", {}, "INVALID_ARGUMENT");
  await refused("a.svg", { figure: "best" }, "INVALID_ARGUMENT", "by-block, by-quartile", "best");
  await refused("a.html", { figure: "by-block" }, "INVALID_ARGUMENT", "options.figure");
  await refused("a.html", { colour: "red" }, "INVALID_ARGUMENT", "colour");
  await refused("nowhere/a.html", {}, "WRITE_FAILED", "nowhere");
  await refuses(
    t,
    "no figure",
    () => writeReport({ ...report, figures: [] }, path.join(folder, "a.svg")),
    "INVALID_ARGUMENT",
  );
  await refuses(t, "a format", () => drawFigure(figure, "gif" as "svg"), "INVALID_ARGUMENT", "gif");
  for (const size of [30_000, 1e7]) {
    const large = { ...figure, spec: { width: size, height: size, data: { values: [{ a: 1 }] }, mark: "bar" } };
    await refuses(
      t,
      `${size} wide`,
      () => drawFigure(large, "png"),
      "INVALID_ARGUMENT",
      String(size).slice(0, -2),
      "pixels",
    );
  }
  for (const [name, options] of Object.entries({
    "an empty name": { name: "" },
    "a name twice": { name: "x", compare: { name: "x", sweep: whole } },
    "no sweep to compare": { compare: { name: "x" } },
    "another thing to compare": { compare: { name: "x", sweep: {} } },
  })) {
    const code = name === "another thing to compare" ? "SWEEP_INVALID" : "INVALID_ARGUMENT";
    t.throws(() => createReport(whole, options as object), { code }, name);
  }
});
