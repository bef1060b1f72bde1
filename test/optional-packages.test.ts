// Packages that only some users need: how many there are without them, and what a call says that lacks one.
import { readFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { optionalPackage } from "../lib/errors/optional-package.ts";
import { root } from "./support/child.ts";

interface LockedPackage {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")) as {
  packages: Record<string, LockedPackage>;
};

/** The place of a package in the lock file, as Node.js finds it from another. */
function placeOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const place = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (place in lock.packages) return place;
    if (folder === "") return undefined;
  }
}

/** The places of packages and of all that they need. */
function closure(names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string, from: string) => {
    const place = placeOf(name, from);
    if (place === undefined || found.has(place)) return;
    found.add(place);
    const { dependencies, optionalDependencies } = lock.packages[place] as LockedPackage;
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) visit(next, place);
  };
  for (const name of names) visit(name, "");
  return found;
}

t.test("an installation without optional packages is a third of the whole", (t) => {
  const { dependencies = {}, optionalDependencies = {} } = lock.packages[""] as LockedPackage;
  const needed = closure(Object.keys(dependencies));
  const all = closure(Object.keys({ ...dependencies, ...optionalDependencies }));
  t.ok(needed.size > 10, "the lock file is read");
  t.ok(3 * needed.size <= all.size, `${needed.size} of ${all.size}`);
  t.end();
});

t.test("a package that is not installed is named", async (t) => {
  // Hidden from the compiler, which would look for it.
  const name = "no-such-package-of-this-name" as string;
  await t.rejects(
    optionalPackage(name, "draw figures", () => import(name)),
    { code: "PACKAGE_MISSING", message: /no-such-package-of-this-name.*npm install no-such-package-of-this-name/ },
  );
  const broken = new Error("broken");
  await t.rejects(
    optionalPackage("other", "draw figures", () => Promise.reject(broken)),
    broken,
    "other errors stay as they are",
  );
});
