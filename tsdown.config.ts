import path from "node:path";
import { defineConfig, type UserConfig } from "tsdown";
import { bundledLicences } from "./scripts/bundled-licences.mjs";

/** Needed at once, and finding and reading them takes longer than all else of an import. */
const neededAtOnce = ["valibot", /^pure-rand\//];

/** ECMAScript modules only, which hosts such as Jest do not load from CommonJS; with all that they depend on. */
const withoutCommonJs = [/^vega/, /^d3-/, /^hyparquet/, "hysnappy", "fzstd"];

// The bundler's helpers, which the entry would export to the other chunks, and so to everybody.
const codeSplitting = { groups: [{ name: "runtime", test: /rolldown[/:]runtime/ }] };

/**
 * Contexts of node:vm, as Vitest's vmThreads, lack Symbol.dispose and Symbol.asyncDispose on Node.js 20; compiled `using`
 * falls back on registered symbols, and so must the methods. In the JavaScript only: types know the one name.
 */
const registeredSymbols = {
  name: "registered-symbols",
  renderChunk(code: string, { fileName }: { fileName: string }) {
    if (!/\.c?js$/.test(fileName)) return null;
    return code.replace(/\[(Symbol\.(?:dispose|asyncDispose))\]\(/g, '[$1 ?? Symbol.for("$1")](');
  },
};

const shared = {
  platform: "node",
  target: "node20",
  sourcemap: true,
  // Several builds share the folder; scripts/setup.mjs empties it.
  clean: false,
  fixedExtension: false,
  plugins: [bundledLicences(), registeredSymbols],
  inputOptions: { checks: { pluginTimings: false } },
  outputOptions: { codeSplitting },
  deps: { neverBundle: ["#binding"], alwaysBundle: neededAtOnce, onlyBundle: false },
} satisfies UserConfig;

export default defineConfig([
  { ...shared, entry: ["lib/index.ts"], format: "esm", dts: true },
  {
    ...shared,
    entry: ["lib/index.ts"],
    format: "cjs",
    dts: true,
    // What is loaded on first use comes by require: not every host of CommonJS has a dynamic import.
    outputOptions: { codeSplitting, dynamicImportInCjs: false },
    deps: { ...shared.deps, alwaysBundle: [...neededAtOnce, ...withoutCommonJs] },
    // Its file for Node.js awaits an optional package at its top level, which CommonJS can't.
    alias: { "vega-canvas": path.resolve("node_modules/vega-canvas/build/vega-canvas.browser.js") },
  },
  // The command line, what it and the library start as processes and threads, and what scripts/ need of the library
  // before the addon is built.
  {
    ...shared,
    entry: {
      cli: "lib/cli/main.ts",
      libtorch: "lib/addon/libtorch.ts",
      probe: "lib/addon/probe.ts",
      "traced-process": "lib/checkpoint/traced-process.ts",
      "encode-worker": "lib/tokenizer/encode-worker.ts",
      "data-process": "lib/data/data-process.ts",
    },
    format: "esm",
    dts: false,
  },
]);
