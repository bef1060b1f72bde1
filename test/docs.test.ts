// The pages that must keep up with the code.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { errorCodes } from "attention-bypass";
import t from "tap";

const root = path.join(import.meta.dirname, "..");
const read = (...names: string[]) => readFileSync(path.join(root, ...names), "utf8");

t.test("each error code has its row, once", async (t) => {
  const listed = [...read("docs", "errors.md").matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code]) => code as string);
  t.same(listed.sort(), [...errorCodes].sort());
});

t.test("each dependency's licence is named", async (t) => {
  const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
  const listed = [...read("docs", "licences.md").matchAll(/^\| `([^`]+)` +\| ([^|]+?) +\|$/gm)].map((row) =>
    row.slice(1),
  );
  const own = Object.keys(dependencies).map((name) => [
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
