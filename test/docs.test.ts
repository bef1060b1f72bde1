// The pages that must keep up with the code.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { errorCodes } from "attention-bypass";
import t from "tap";
import { temporaryFolder } from "./support/fixtures.ts";

const root = path.join(import.meta.dirname, "..");
const read = (...names: string[]) => readFileSync(path.join(root, ...names), "utf8");

t.test("each error code has its row, once", async (t) => {
  const listed = [...read("docs", "errors.md").matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code]) => code as string);
  t.same(listed.sort(), [...errorCodes].sort());
});

t.test("each dependency's licence is named", async (t) => {
  const { dependencies, optionalDependencies } = JSON.parse(read("package.json")) as Record<
    "dependencies" | "optionalDependencies",
    Record<string, string>
  >;
  const listed = [...read("docs", "licences.md").matchAll(/^\| `([^`]+)` +\| ([^|]+?) +\|$/gm)].map((row) =>
    row.slice(1),
  );
  const own = [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].map((name) => [
    name,
    (JSON.parse(read("node_modules", name, "package.json")) as { license: string }).license,
  ]);
  t.same(listed, own);
});

t.test("links between pages lead somewhere", async (t) => {
  const pages = ["README.md", "CONTRIBUTING.md", ...readdirSync(path.join(root, "docs")).map((name) => `docs/${name}`)];
  for (const page of pages.filter((name) => name.endsWith(".md"))) {
    for (const [, link] of read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      t.ok(existsSync(path.join(root, path.dirname(page), link as string)), `${page}: ${link}`);
    }
  }
});

t.test("the API's page is what npm run api-pages writes", async (t) => {
  const page = path.join(await temporaryFolder(t), "api.md");
  const script = path.join(root, "scripts", "api-pages.mjs");
  await promisify(execFile)(process.execPath, [script, page], { env: { ...process.env, NODE_OPTIONS: "" } });
  t.equal(readFileSync(page, "utf8"), read("docs", "api.md"));
});

t.test("links within the API's page lead to the heading of that name", async (t) => {
  const page = read("docs", "api.md");
  const counts = new Map<string, number>();
  const headings = new Map<string, string>();
  for (const [, heading] of page.matchAll(/^#+ (.+)$/gm) as Iterable<string[]>) {
    const plain = (heading as string)
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-");
    const count = counts.get(plain) ?? 0;
    counts.set(plain, count + 1);
    headings.set(count === 0 ? plain : `${plain}-${count}`, heading as string);
  }
  for (const [, name, address] of page.matchAll(/\[`?([^\]`]+)`?\]\(#([^)]+)\)/g) as Iterable<string[]>) {
    if (headings.get(address as string) !== name) t.fail(`[${name}](#${address})`);
  }
});
