// Reports of scans: what they say is what the result has, hostile texts are escaped, and much is cut with a note.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { createScanReport, drawFigure, loadModel, type ScanResult, type Span, writeReport } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";

const scores = (probability: number, tokens: readonly number[], remaining: Span[]) => ({
  extractionProbability: probability,
  samplesToExtract: probability === 0 ? Number.MAX_SAFE_INTEGER : Math.ceil(Math.log(0.5) / Math.log1p(-probability)),
  exactMatches: 1,
  longestRun: 3,
  remaining,
  tokenProbability: [...tokens],
});

const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
const { settings, cost } = await model.scan([1, 2, 3, 4], { prefixLength: 1, suffixLength: 1 });
await model.dispose();

const text = 'wizard <script>alert("x")</script> & \u001b[31mé|';

/** A made-up result: a document of 100 characters with a passage of the model's, and one that only the bypass has. */
function result(copies = 1): ScanResult {
  const span = { begin: 10, end: 10 + text.length, tokenBegin: 5, tokenEnd: 8 };
  const tokenEnds = [6, 20, text.length];
  const own = {
    document: 0,
    ...span,
    windows: 2,
    prefix: "<b>before</b>",
    text,
    tokenEnds,
    base: scores(0.75, [0.95, 0.6, 0.2], [span]),
    bypasses: [scores(0, [0.5, 0, 0.005], [])],
  };
  const added = { ...own, bypass: 0, ...{ begin: 80, end: 80 + text.length, tokenBegin: 40, tokenEnd: 43 } };
  const windows = {
    suffixLogLikelihood: [-1, -30],
    extractionProbability: [0.75, 0],
    samplesToExtract: [1, 5],
    exactMatch: [1, 0],
    longestRun: [3, 1],
  };
  const coverage = { windows: 1, passages: 1, tokens: 3, characters: text.length };
  return {
    summary: {
      documents: 2,
      shortDocuments: 1,
      tokens: 60,
      characters: 200,
      windows: 2,
      base: coverage,
      bypasses: [{ all: coverage, remaining: { passages: 0, tokens: 0, characters: 0 }, added: 1 }],
    },
    bypasses: [{ name: "block 3", part: "attention", blocks: [3], mode: "zero" }],
    passages: Array.from({ length: copies }, () => [own, added]).flat(),
    documents: [
      {
        name: "<i>notes</i>.txt",
        sha256: "",
        characters: 200,
        tokens: 58,
        firstWindow: 0,
        windows: 2,
        suffixes: { token: [5, 40], begin: [10, 80], end: [60, 130] },
        base: windows,
        bypasses: [windows],
      },
    ],
    settings: { ...settings, prefixLength: 5, suffixLength: 3 },
    cost,
  };
}

t.test("the page", async (t) => {
  const folder = await temporaryFolder(t);
  const report = createScanReport(result(), { name: "a model" });
  t.same(report.findings, [
    "The unmodified model gives away 1 passage with 44 characters, 22 % of the characters: each is covered by suffixes of 3 tokens " +
      "that one sample equals with a probability of 0.001 or more.",
    "Bypassing attention of block 3 (zero) leaves 0 of 1 passage and 0 % of their characters. It has 1 passage that the unmodified model does not have.",
    "1 document shorter than 8 tokens could not be scanned.",
  ]);
  const file = path.join(folder, "scan.html");
  await writeReport(report, file);
  const page = await readFile(file, "utf8");
  t.notMatch(page, /<script|<i>notes|<b>before/);
  t.match(page, /&lt;script&gt;alert\(&quot;x&quot;\)/);
  t.match(page, /\\u001b\[31m/, "control characters are shown as escapes");
  // The first token with 0.95, without and with the bypass.
  t.match(page, '<span class="p0" title="0.950">wizard</span>');
  t.match(page, '<span class="p1" title="0.500">wizard</span>');
  t.equal(page.match(/<section class="passage">/g)?.length, 2);
  t.equal(page.match(/<div class="panel">/g)?.length, 4);
  t.match(page, /only under block 3/);
  t.match(page, /print-color-adjust: exact/);
  const markdown = path.join(folder, "scan.md");
  await writeReport(report, markdown);
  t.match(await readFile(markdown, "utf8"), /\n {4}<b>before<\/b> …\n {4}wizard <script>/, "an indented block");
  t.equal(report.figures[0]?.name, "heat-map");
  const svg = await drawFigure(report.figures[0] as (typeof report.figures)[0], "svg");
  t.match(svg, /extraction probability/);
  t.match(svg, /block 3/);
});

t.test("much is cut, and the report says so", async (t) => {
  const long = result(80);
  const [document] = long.documents;
  if (document === undefined) throw new Error("expected a document");
  long.documents = Array.from({ length: 12 }, () => document);
  const [first] = long.passages;
  if (first === undefined) throw new Error("expected a passage");
  const letters = "abcde ".repeat(1000);
  Object.assign(first, { text: letters, tokenEnds: [600, 1200, 6000] });
  const report = createScanReport(long);
  t.equal(report.passages?.list.length, 20);
  t.match(report.passages?.caption, /Shows the 20 most probable passages with text, and leaves out 140\./);
  t.match(report.figures[0]?.caption, /Shows the 8 documents .* leaves out 4\./);
  t.match(report.tables[1]?.title, /the 100 most probable of 160/);
  const panel = report.passages?.list[0]?.panels[0];
  t.equal(panel?.tokens.map((token) => token.text).join(""), letters.slice(0, 1200));
  t.equal(panel?.omitted, "4,800 more characters");
});

t.test("nothing found, and results that do not fit", (t) => {
  const nothing = result(0);
  Object.assign(nothing.summary.base, { windows: 0, passages: 0, tokens: 0, characters: 0 });
  Object.assign(nothing.summary.bypasses[0] as object, { added: 0 });
  const report = createScanReport(nothing);
  t.match(report.findings[0], /generates no suffix of 3 tokens with a probability of 0\.001 or more/);
  t.notOk("passages" in report);
  t.equal(report.tables.length, 1);
  const wrong: Record<string, (one: ScanResult) => void> = {
    "a probability above 1": ({ passages }) => Object.assign(passages[0]?.base as object, { extractionProbability: 2 }),
    "a null": ({ documents }) => documents[0]?.base.extractionProbability.splice(0, 1, null as never),
    "a passage of no document": ({ passages }) => Object.assign(passages[0] as object, { document: 7 }),
    "too few tokens": ({ passages }) => passages[0]?.base.tokenProbability.pop(),
    "token ends beyond the text": ({ passages }) => Object.assign(passages[0] as object, { tokenEnds: [1, 2, 999] }),
    "another number of windows": ({ documents }) => documents[0]?.suffixes.token.pop(),
    "too few bypasses": ({ summary }) => summary.bypasses.pop(),
  };
  for (const [name, spoil] of Object.entries(wrong)) {
    const spoiled = JSON.parse(JSON.stringify(result()));
    spoil(spoiled);
    t.throws(() => createScanReport(spoiled), { code: "SCAN_INVALID" }, name);
  }
  for (const value of [undefined, null, 5, {}, []]) {
    t.throws(() => createScanReport(value as never), { code: "SCAN_INVALID" }, String(value));
  }
  t.throws(() => createScanReport(result(), { name: "" }), { code: "INVALID_ARGUMENT" });
  t.end();
});
