import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { root } from "./child.ts";
import { addPackage } from "./snippet-folder.ts";
import { placeOf, type Snippet } from "./snippets.ts";

/** What a reader has at hand where a page does not say it again. */
const atHand: Record<string, string> = {
  model: 'const model = await (await import("attention-bypass")).loadModel("pythia-160m");',
  bypass: "const bypass = { blocks: [10, 11] };",
  result:
    'const result = JSON.parse((await import("node:fs")).readFileSync("sweep.json", "utf8")) as import("attention-bypass").SweepResult;',
  report: 'const report = (await import("attention-bypass")).createReport(result);',
  figure: 'const figure = report.figures[0] as import("attention-bypass").Figure;',
  path: 'import path from "node:path";',
};

/** A block with what it needs before it, as a program of its own. */
export interface Program {
  snippet: Snippet;
  /** TypeScript, whatever the block is in. */
  code: string;
  /** Lines that stand before the block. */
  before: number;
  /** CommonJS. */
  common: boolean;
}

export interface Programs {
  programs: Program[];
  /** What TypeScript has against them, and names that nothing explains, each with its place. */
  mistakes: string[];
}

const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
  module: ts.ModuleKind.NodeNext,
  types: ["node"],
  typeRoots: [path.join(root, "node_modules", "@types")],
};

/** "Cannot find name", with and without a guess what was meant, and the same of `{ name }`. */
const unknownName = new Set([2304, 2552, 18004]);
/** JavaScript can't say what type a parameter or variable is of. */
const implicitAny = new Set([7005, 7006, 7031, 7034]);

const messageOf = ({ messageText }: ts.Diagnostic) => ts.flattenDiagnosticMessageText(messageText, " ");

function namesIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : namesIn(element.name)));
}

/** What a program declares at its top. */
function declaredIn(file: ts.SourceFile): string[] {
  return file.statements.flatMap((statement) => {
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.flatMap(({ name }) => namesIn(name));
    }
    const named = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
    return named && statement.name ? [statement.name.text] : [];
  });
}

/** Checks programs as files of a folder, in which it puts the package. */
class Checker {
  readonly #folder: string;
  #last: ts.Program | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder);
    addPackage(folder);
  }

  check(programs: readonly Program[]): { file: ts.SourceFile; found: readonly ts.Diagnostic[] }[] {
    const names = programs.map(({ code, common }, index) => {
      const name = path.join(this.#folder, `${index}.${common ? "cts" : "mts"}`);
      writeFileSync(name, code);
      return name;
    });
    const checked = ts.createProgram(names, options, undefined, this.#last);
    this.#last = checked;
    return names.map((name) => {
      const file = checked.getSourceFile(name) as ts.SourceFile;
      return { file, found: [...checked.getSyntacticDiagnostics(file), ...checked.getSemanticDiagnostics(file)] };
    });
  }

  /** What the package exports, types included. */
  exported(): Set<string> {
    const file = path.join(this.#folder, "all.mts");
    writeFileSync(file, 'import * as all from "attention-bypass";\n');
    const program = ts.createProgram([file], options);
    const statement = program.getSourceFile(file)?.statements[0] as ts.ImportDeclaration;
    const checker = program.getTypeChecker();
    const module = checker.getSymbolAtLocation(statement.moduleSpecifier) as ts.Symbol;
    return new Set(checker.getExportsOfModule(module).map(({ name }) => name));
  }
}

/** Makes each block a program, and has TypeScript check it, in a folder of their own. */
export function toPrograms(snippets: readonly Snippet[], folder: string): Programs {
  const checker = new Checker(folder);
  const exported = checker.exported();
  const alone = snippets.map((snippet): Program => {
    const common = /\brequire\(/.test(snippet.text);
    return { snippet, code: common ? snippet.text : `${snippet.text}export {};\n`, before: 0, common };
  });
  const mistakes: string[] = [];
  const blocks = checker.check(alone).map(({ file, found }, index) => {
    const unknown = found.filter(({ code }) => unknownName.has(code)).map((one) => /'(\w+)'/.exec(messageOf(one))?.[1]);
    return { ...(alone[index] as Program), declared: declaredIn(file), unknown: unknown as string[] };
  });

  const programs = blocks.map((block, index): Program => {
    const imports = new Set<string>();
    const lines: string[] = [];
    const add = (text: string) => lines.includes(text) || lines.push(text);
    const explain = (name: string, before: number) => {
      if (exported.has(name)) return void imports.add(name);
      const value = atHand[name];
      if (value !== undefined) {
        for (const other of Object.keys(atHand)) {
          if (other !== name && new RegExp(`[^\\w"]${other}[.)]`).test(value)) explain(other, before);
        }
        return void add(value);
      }
      const at = blocks.findLastIndex(
        (one, place) => place < before && one.snippet.page === block.snippet.page && one.declared.includes(name),
      );
      const earlier = blocks[at];
      if (earlier === undefined) return void mistakes.push(`${placeOf(block.snippet)}: nothing says what ${name} is`);
      for (const needed of earlier.unknown) explain(needed, at);
      add(earlier.snippet.text.trimEnd());
    };
    for (const name of new Set(block.unknown)) explain(name, index);
    if (imports.size > 0) lines.unshift(`import { ${[...imports].sort().join(", ")} } from "attention-bypass";`);
    const preamble = lines.map((text) => `${text}\n`).join("");
    return { ...block, code: preamble + block.code, before: preamble.split("\n").length - 1 };
  });

  for (const [index, { file, found }] of checker.check(programs).entries()) {
    const { snippet, before } = programs[index] as Program;
    for (const one of found) {
      if (unknownName.has(one.code) || (snippet.language === "js" && implicitAny.has(one.code))) continue;
      const { line } = file.getLineAndCharacterOfPosition(one.start ?? 0);
      mistakes.push(`${snippet.page}:${snippet.line + line - before}: ${messageOf(one)}`);
    }
  }
  return { programs, mistakes };
}

/** A program as JavaScript that Node runs. */
export function toJavaScript({ code, common }: Program): string {
  const module = common ? ts.ModuleKind.CommonJS : ts.ModuleKind.ESNext;
  return ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2022, module } }).outputText;
}
