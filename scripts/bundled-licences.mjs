// Writes the licences of the packages that the bundler includes in dist/ to dist/licenses/.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** Returns folder and name of the package that contains a module; undefined for a module of this package. */
function packageOf(module) {
  const found = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(module);
  return found && { folder: found[1], name: found[2] };
}

function licenceOf({ folder, name }) {
  const file = readdirSync(folder).find((file) => /^licen[cs]e(\.(md|txt))?$/i.test(file));
  // A package must not be distributed without its licence.
  if (file === undefined) throw new Error(`expected a licence of ${name} in ${folder}`);
  return readFileSync(path.join(folder, file), "utf8");
}

/** @returns {import("rolldown").Plugin} */
export function bundledLicences() {
  return {
    name: "bundled-licences",
    generateBundle(_, bundle) {
      const packages = new Map();
      for (const chunk of Object.values(bundle)) {
        for (const [module, { code }] of Object.entries(chunk.modules ?? {})) {
          const found = code ? packageOf(module) : undefined;
          if (found) packages.set(found.name, found);
        }
      }
      for (const [name, found] of packages) {
        const fileName = `licenses/${name.replace("/", "-")}.txt`;
        this.emitFile({ type: "asset", fileName, source: licenceOf(found) });
      }
    },
  };
}
