/** A block of code on a page. */
export interface Snippet {
  page: string;
  /** Of its first line, from 1. */
  line: number;
  /** As its fence says; of an indented block "jsonl" or "sh", by what it begins with. */
  language: string;
  text: string;
}

const fence = /^ *(```+) *([\w+-]*)/;

/** The blocks of a page in Markdown, fenced or indented, in their order. */
export function snippetsOf(page: string, markdown: string): Snippet[] {
  const lines = markdown.split("\n");
  const snippets: Snippet[] = [];
  const take = (first: number, end: number, language: string) => {
    const own = lines.slice(first, end);
    const indent = Math.min(...own.filter((line) => line.trim() !== "").map((line) => line.search(/\S/)));
    const text = own.map((line) => line.slice(Number.isFinite(indent) ? indent : 0)).join("\n");
    snippets.push({ page, line: first + 1, language, text: `${text.trimEnd()}\n` });
  };
  let index = 0;
  const endOf = (within: (line: string) => boolean) => {
    const rest = lines.slice(index).findIndex((line) => !within(line));
    return rest < 0 ? lines.length : index + rest;
  };
  while (index < lines.length) {
    const line = lines[index] as string;
    const [, ticks, language = ""] = fence.exec(line) ?? [];
    if (ticks !== undefined) {
      index++;
      const end = endOf((inside) => inside.trim() !== ticks);
      take(index, end, language);
      index = end + 1;
    } else if (line.startsWith("    ") && (lines[index - 1] ?? "").trim() === "") {
      const end = endOf((inside) => inside.startsWith("    ") || inside.trim() === "");
      take(index, end, line.trimStart().startsWith("{") ? "jsonl" : "sh");
      index = end;
    } else {
      index++;
    }
  }
  return snippets;
}

/** The README's first program, which test/package.test.ts runs in the package as npm packs it. */
export const firstProgramOf = (readme: string): string =>
  /## A first program\n\n```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";

/** What messages call a block, as editors find it. */
export const placeOf = ({ page, line }: Snippet): string => `${page}:${line}`;
