// What the pages tell to type: every program is checked by TypeScript and run, every command is run or known not to be,
// JSON is parsed.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { type Outcome, root, runCommand } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { startHub } from "./support/hub-server.ts";
import { commandsOf, fateOf } from "./support/snippet-commands.ts";
import { copySnippetFolder, writeSnippetFolder } from "./support/snippet-folder.ts";
import { toJavaScript, toPrograms } from "./support/snippet-programs.ts";
import { firstProgramOf, placeOf, snippetsOf } from "./support/snippets.ts";

t.setTimeout(600_000);
// docs/api.md holds signatures, and a test of its own writes it anew.
const pages = ["README.md", ...readdirSync(path.join(root, "docs")).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md") && name !== "docs/api.md",
);
const snippets = pages
  .flatMap((page) => snippetsOf(page, readFileSync(path.join(root, page), "utf8")))
  // What is indented there is mathematics.
  .filter(({ page, language }) => page !== "docs/theory.md" || language !== "sh");
const inLanguages = (...languages: string[]) => snippets.filter(({ language }) => languages.includes(language));

const shell = ["sh", "bash", "shell"];
const parsed = ["json", "jsonl", "dockerfile"];
/** What is only shown, such as output, and other programs' own languages. */
const shown = ["", "text", "html", "yaml", "python"];

const folder = await temporaryFolder(t);
const base = path.join(folder, "base");
mkdirSync(base);
writeSnippetFolder(base);
const pythia = path.join(base, "pythia-160m");
const steps = ["step0", "step1000", "step3000", "step8000", "step64000", "step143000"];
const revisions = { main: pythia, ...Object.fromEntries(steps.map((step) => [step, pythia])) };
const hub = await startHub({ models: { "EleutherAI/pythia-160m-deduped": { revisions } } });
t.teardown(() => hub.close());
const environment = {
  ...process.env,
  PATH: `${path.join(base, "bin")}:${process.env.PATH}`,
  PORT: "0",
  HF_ENDPOINT: hub.endpoint,
  HF_HOME: path.join(folder, "huggingface"),
  // Two run at once, beside other tests.
  OMP_NUM_THREADS: "1",
};

t.test("every block is in a language that is known here", async (t) => {
  const known = [...shell, ...parsed, ...shown, "js", "ts"];
  for (const snippet of snippets) t.ok(known.includes(snippet.language), `${placeOf(snippet)}: ${snippet.language}`);
});

const commands = inLanguages(...shell).flatMap(commandsOf);

t.test("every command is run, or known not to be", async (t) => {
  for (const command of commands) t.not(fateOf(command), "unknown", `${command.page}:${command.line}: ${command.text}`);
});

t.test("JSON can be parsed", async (t) => {
  for (const snippet of inLanguages("json")) t.doesNotThrow(() => JSON.parse(snippet.text), placeOf(snippet));
  for (const snippet of inLanguages("jsonl")) {
    t.doesNotThrow(
      () =>
        snippet.text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line)),
      placeOf(snippet),
    );
  }
});

t.test("Dockerfiles have known instructions, and run known commands", async (t) => {
  for (const snippet of inLanguages("dockerfile")) {
    for (const { text } of commandsOf(snippet)) {
      const [, instruction, rest = ""] =
        /^(FROM|WORKDIR|ENV|ARG|EXPOSE|USER|COPY|RUN|CMD|ENTRYPOINT) (.+)$/.exec(text) ?? [];
      t.ok(instruction, `${placeOf(snippet)}: ${text}`);
      if (instruction === "RUN") t.not(fateOf({ ...snippet, text: rest }), "unknown", text);
      if (instruction === "CMD") t.doesNotThrow(() => JSON.parse(rest), text);
    }
  }
});

/** A copy of all that a page speaks of, with the tasks that it defines. */
function folderOf(name: string, page: string): string {
  const own = copySnippetFolder(base, path.join(folder, name));
  const rows: string[] = [];
  for (const { language, text } of snippets.filter((snippet) => snippet.page === page)) {
    if (language === "jsonl") rows.push(text);
    if (language !== "json") continue;
    const definition = JSON.parse(text) as { name?: string; rows?: string[] };
    if (definition.name === undefined || definition.rows?.[0] === undefined) continue;
    writeFileSync(path.join(own, `${definition.name}.json`), text);
    writeFileSync(path.join(own, definition.rows[0]), rows.join(""));
  }
  return own;
}

function succeeded(t: Test, name: string, { code, signal, stderr }: Outcome): void {
  t.equal(code, 0, name, { signal, stderr });
}

/** Does work on each of a list, on two at once. */
async function two<Item>(items: readonly Item[], work: (item: Item, index: number) => Promise<void>): Promise<void> {
  const left = [...items.entries()];
  const next = async (): Promise<void> => {
    const [index, item] = left.shift() ?? [];
    if (index === undefined || item === undefined) return;
    await work(item, index);
    return next();
  };
  await Promise.all([next(), next()]);
}

const shellOf = (text: string, cwd: string) => runCommand(["sh", "-c", text], { cwd, env: environment });

t.test("commands run, a page's one after the other", async (t) => {
  const sweep = commands.find(({ page, text }) => page === "README.md" && / --output sweep\.json/.test(text));
  succeeded(t, "the sweep that others read", await shellOf(sweep?.text ?? "false", base));
  copyFileSync(path.join(base, "sweep.json"), path.join(base, "larger.json"));
  const fonts = ["/usr/share/fonts", "/usr/local/share/fonts"].some(existsSync);
  await two(pages, async (page, index) => {
    const own = folderOf(`commands-${index}`, page);
    for (const command of commands.filter((one) => one.page === page && fateOf(one) === "run")) {
      const outcome = await shellOf(command.text, own);
      const name = `${page}:${command.line}: ${command.text}`;
      if (!fonts && outcome.stderr.includes("FONT_MISSING")) t.pass(name);
      else succeeded(t, name, outcome);
    }
  });
});

/** Programs that are only checked, and why. */
const notRun: readonly [part: RegExp, reason: string][] = [
  [/["'`]cuda/, "needs a GPU"],
  [/https?:\/\/(localhost|127\.0\.0\.1)/, "asks a server, as test/package.test.ts does"],
];

t.test("programs are right TypeScript, and run", async (t) => {
  const { programs, mistakes } = toPrograms(inLanguages("js", "ts"), path.join(folder, "checked"));
  t.same(mistakes, []);
  const first = firstProgramOf(readFileSync(path.join(root, "README.md"), "utf8"));
  const run = programs.filter(
    ({ code, snippet }) => snippet.text !== first && !notRun.some(([part]) => part.test(code)),
  );
  t.equal(programs.filter(({ snippet }) => snippet.text === first).length, 1, "test/package.test.ts runs the first");
  await two(run, async (program, index) => {
    const { snippet, common, code } = program;
    const own = folderOf(`program-${index}`, snippet.page);
    const file = path.join(own, `program.${common ? "cjs" : "mjs"}`);
    writeFileSync(file, toJavaScript(program));
    // A server does not end by itself.
    const serves = /\.listen\(/.test(code);
    const command = [process.execPath, file];
    const outcome = await runCommand(command, { cwd: own, env: environment, ...(serves && { timeout: 5000 }) });
    if (serves && outcome.signal === "SIGKILL") t.pass(placeOf(snippet));
    else succeeded(t, placeOf(snippet), outcome);
  });
});
