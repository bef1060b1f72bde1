// Generates docs/api.md, or the given file, from the types and comments of the exports of lib/index.ts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Application, Comment, CommentTag, Converter, ReflectionKind } from "typedoc";

const root = path.join(import.meta.dirname, "..");
const out = path.resolve(process.argv[2] ?? path.join(root, "docs", "api.md"));

/** The sections of the page. Each has the files of lib/ whose exports it contains, in this order. */
const parts = {
  "Loading a model":
    "addon/device load-model model families/model-config families/dtype operation/operation hub/options hub/download tokenizer/tokens tokenizer/tokenizer checkpoint/embedded-model convert",
  "The bypass": "bypass/bypass",
  Generating: "generation/generation generation/token-log-probability scoring/log-probabilities scoring/logits",
  "Memorization and perplexity":
    "metrics/memorization metrics/memorization-scores data/samples metrics/perplexity data/text-argument",
  "Scanning documents": "scan/documents scan/options scan/result report/scan-report report/passages",
  "Tasks and benchmarks": "benchmark/benchmark benchmark/task benchmark/task-definition",
  "The sweep":
    "sweep/options sweep/result sweep/settings sweep/variants sweep/families sweep/random-sets scoring/precision scoring/model-settings scoring/fingerprint",
  "Total and direct effects": "effects/options effects/result report/effects-report",
  "Over training": "sweep-revisions revisions/result revisions/checkpoints report/training-report",
  "The paper's experiment": "reproduce-paper paper/models paper/bypasses paper/result report/paper-report",
  "Reports and recommendations":
    "report/report report/figure report/report-table report/draw report/write-report report/show selectivity/selectivity selectivity/result recommend/recommend recommend/recommendation statistics/bootstrap",
  "Divergence and attention outputs": "measure/divergence measure/attention measure/survey",
  Serving: "serve serve/options serve/server",
  "The installation": "addon/diagnose addon/libtorch addon/native",
  Errors: "errors/errors",
};
const files = Object.values(parts).flatMap((names) => names.split(" "));
const titles = Object.entries(parts).flatMap(([title, names]) => names.split(" ").map(() => title));

/** The index of each export's file in that order. */
const places = new Map();

const application = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  entryPoints: [path.join(root, "lib", "index.ts")],
  tsconfig: path.join(root, "tsconfig.json"),
  // `npm run typecheck` checks for errors.
  skipErrorChecking: true,
  logLevel: "Warn",
  readme: "none",
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  excludeExternals: true,
  sort: ["source-order"],
  groupOrder: Object.keys(parts),
  requiredToBeDocumented: ["Class", "Interface", "TypeAlias", "Function", "Method", "Property", "Variable"],
  // The comment of the parent describes these.
  intentionallyNotDocumented: [
    "BypassFamily.__type.window",
    "BypassFamily.__type.random",
    ...["quartile", "from", "to"].map((name) => `Blocks.__type.${name}`),
    ...["prefix", "suffix", "text"].map((name) => `SampleRow.__type.${name}`),
  ],
  validation: { notDocumented: true, notExported: true, invalidLink: true },
  router: "module",
  hidePageHeader: true,
  hidePageTitle: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  classPropertiesFormat: "table",
  typeAliasPropertiesFormat: "table",
  typeDeclarationFormat: "table",
  tableColumnSettings: { hideDefaults: true, hideInherited: true, hideModifiers: true, hideOverrides: true },
});

application.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
  const declaration = context.getSymbolFromReflection(reflection)?.declarations?.[0];
  if (declaration === undefined) return;
  // The compiler's type has a type's members instead of its name, and the other way round for `typeof list`.
  if (reflection.kind === ReflectionKind.Property && declaration.type !== undefined) {
    reflection.type = context.converter.convertType(context, declaration.type);
  }
  if (reflection.parent !== context.project) return;
  reflection.comment ??= new Comment();
  if (/\(typeof \w+\)/.test(declaration.type?.getText())) reflection.comment.modifierTags.add("@useDeclaredType");
  const file = path.relative(path.join(root, "lib"), declaration.getSourceFile().fileName).replace(/\.ts$/, "");
  const place = files.indexOf(file);
  if (place < 0) throw new Error(`lib/index.ts exports from ${file}.ts, which is in no section of the page`);
  places.set(reflection, place);
  reflection.comment.blockTags.push(new CommentTag("@group", [{ kind: "text", text: titles[place] }]));
});

async function render() {
  const folder = mkdtempSync(path.join(tmpdir(), "attention-bypass-api-"));
  try {
    const project = await application.convert();
    for (const { children } of project.groups) children.sort((one, other) => places.get(one) - places.get(other));
    application.validate(project);
    if (application.logger.hasWarnings()) throw new Error("fix the warnings above");
    await application.outputs.writeOutput({ name: "markdown", path: folder }, project);
    return readFileSync(path.join(folder, "README.md"), "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the headings with their addresses on GitHub. A repeated address has a number. */
function addressed(markdown) {
  const counts = new Map();
  return [...markdown.matchAll(/^(#+) (.+)$/gm)].map(([, { length: level }, heading]) => {
    const plain = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-");
    const count = counts.get(plain) ?? 0;
    counts.set(plain, count + 1);
    return { level, heading, address: count === 0 ? plain : `${plain}-${count}` };
  });
}

/** Links each name to its own heading. The plugin links `Logits` to the method `logits`. */
function relinked(markdown) {
  const addresses = new Map(
    addressed(markdown).flatMap(({ level, heading, address }) => (level === 3 ? [[heading, address]] : [])),
  );
  return markdown.replace(/\[(`?)(\w+)\1\]\(#[^)]+\)/g, (link, tick, name) =>
    addresses.has(name) ? `[${tick}${name}${tick}](#${addresses.get(name)})` : link,
  );
}

/** The table of contents: one line for each section. */
function contents(markdown) {
  const headings = addressed(markdown);
  const link = ({ heading, address }) => `[${heading}](#${address})`;
  return headings
    .filter(({ level }) => level === 2)
    .map((part) => {
      const rest = headings.slice(headings.indexOf(part) + 1);
      const end = rest.findIndex(({ level }) => level === 2);
      const members = rest.slice(0, end < 0 ? rest.length : end).filter(({ level }) => level === 3);
      return `- ${link(part)}: ${members.map(link).join(", ")}`;
    })
    .join("\n");
}

const body = (await render())
  // Nothing links to these anchors, and their numbers change with each new member.
  .replace(/<a id="[^"]*"><\/a> /g, "")
  // The extending types name this type themselves.
  .replace(/^#### Extended by\n\n(- .+\n)+\n/gm, "")
  // The plugin omits these parentheses if an array of a union is itself a member of a union.
  .replace(/readonly string \\\| (\w+)\[\]/g, "readonly (`string` \\| `$1`)[]");
const preamble = `# API

This page lists everything that the package exports. \`npm run api-pages\` generates it from the types and their comments; edit
these instead. [errors.md](errors.md) lists the error codes. The [README](../README.md) is an introduction.`;

writeFileSync(out, `${preamble}\n\n${contents(body)}\n\n${relinked(body).trimEnd()}\n`);
