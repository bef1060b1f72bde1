// Writes docs/api.md, or the file that is given, from the types of what lib/index.ts exports and their comments.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Application, Comment, CommentTag, Converter, ReflectionKind } from "typedoc";

const root = path.join(import.meta.dirname, "..");
const out = path.resolve(process.argv[2] ?? path.join(root, "docs", "api.md"));

/** The page's parts, each with the files of lib/ whose exports it has, in this order. */
const parts = {
  "Loading a model":
    "addon/device load-model model families/model-config families/dtype operation/operation tokenizer/tokens tokenizer/tokenizer checkpoint/embedded-model convert",
  "What to bypass": "bypass/bypass",
  Generating: "generation/generation scoring/logits",
  "Memorization and perplexity": "metrics/memorization data/samples metrics/perplexity data/text-argument",
  "Tasks and benchmarks": "benchmark/benchmark benchmark/task benchmark/task-definition",
  "The sweep": "sweep/options sweep/result sweep/settings sweep/variants scoring/precision sweep/fingerprint",
  "Reports and recommendations":
    "report/report report/figure report/tables report/draw report/write-report report/show recommend/recommend recommend/recommendation statistics/bootstrap",
  "How far a bypass goes": "measure/divergence measure/attention measure/survey",
  "The installation": "addon/diagnose addon/libtorch addon/native",
  "What goes wrong": "errors/errors",
};
const files = Object.values(parts).flatMap((names) => names.split(" "));
const titles = Object.entries(parts).flatMap(([title, names]) => names.split(" ").map(() => title));

/** The place of each export's file in that order. */
const places = new Map();

const application = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  entryPoints: [path.join(root, "lib", "index.ts")],
  tsconfig: path.join(root, "tsconfig.json"),
  // `npm run typecheck` does it.
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
  // What these are is in the comment of the whole.
  intentionallyNotDocumented: [
    "BypassFamily.__type.window",
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
  // The compiler would give a type's members for its name, and `typeof list` where it is defined: the wrong way round.
  if (reflection.kind === ReflectionKind.Property && declaration.type !== undefined) {
    reflection.type = context.converter.convertType(context, declaration.type);
  }
  if (reflection.parent !== context.project) return;
  reflection.comment ??= new Comment();
  if (/\(typeof \w+\)/.test(declaration.type?.getText())) reflection.comment.modifierTags.add("@useDeclaredType");
  const file = path.relative(path.join(root, "lib"), declaration.getSourceFile().fileName).replace(/\.ts$/, "");
  const place = files.indexOf(file);
  if (place < 0) throw new Error(`lib/index.ts exports from ${file}.ts, which no part of the page is for`);
  places.set(reflection, place);
  reflection.comment.blockTags.push(new CommentTag("@group", [{ kind: "text", text: titles[place] }]));
});

async function render() {
  const folder = mkdtempSync(path.join(tmpdir(), "attention-bypass-api-"));
  try {
    const project = await application.convert();
    for (const { children } of project.groups) children.sort((one, other) => places.get(one) - places.get(other));
    application.validate(project);
    if (application.logger.hasWarnings()) throw new Error("the warnings above are to be mended");
    await application.outputs.writeOutput({ name: "markdown", path: folder }, project);
    return readFileSync(path.join(folder, "README.md"), "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The addresses that GitHub gives to headings: one that comes again has a number. */
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

/** Leads each name to its own heading: the plugin takes `Logits` to the method `logits`. */
function relinked(markdown) {
  const addresses = new Map(
    addressed(markdown).flatMap(({ level, heading, address }) => (level === 3 ? [[heading, address]] : [])),
  );
  return markdown.replace(/\[(`?)(\w+)\1\]\(#[^)]+\)/g, (link, tick, name) =>
    addresses.has(name) ? `[${tick}${name}${tick}](#${addresses.get(name)})` : link,
  );
}

/** A line for each part, with what is in it. */
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
  // Nothing leads there, and their numbers would change with each new member.
  .replace(/<a id="[^"]*"><\/a> /g, "")
  // Each of these says itself that it extends this.
  .replace(/^#### Extended by\n\n(- .+\n)+\n/gm, "")
  // The plugin forgets these parentheses where a list of alternatives is itself an alternative.
  .replace(/readonly string \\\| (\w+)\[\]/g, "readonly (`string` \\| `$1`)[]");
const preamble = `# API

What the package exports. \`npm run api-pages\` writes this page from the types and their comments: edit these instead.
[errors.md](errors.md) has the error codes, and the [README](../README.md) what it is all for.`;

writeFileSync(out, `${preamble}\n\n${contents(body)}\n\n${relinked(body).trimEnd()}\n`);
