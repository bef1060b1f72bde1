import { defineConfig, type UserConfig } from "tsdown";

const shared = {
  platform: "node",
  target: "node20",
  sourcemap: true,
  // Several builds share the folder; scripts/setup.mjs empties it.
  clean: false,
  fixedExtension: false,
  inputOptions: { checks: { pluginTimings: false } },
  // The bundler's helpers, which the entry would export to the other chunks, and so to everybody.
  outputOptions: { codeSplitting: { groups: [{ name: "runtime", test: /rolldown[/:]runtime/ }] } },
  // These two are needed at once, and finding and reading them takes longer than all else of an import.
  deps: { neverBundle: ["#binding"], alwaysBundle: ["valibot", /^pure-rand\//] },
} satisfies UserConfig;

export default defineConfig([
  {
    ...shared,
    entry: ["lib/index.ts"],
    format: ["esm", "cjs"],
    dts: true,
    copy: [
      { from: "node_modules/valibot/LICENSE.md", to: "dist/licenses", rename: "valibot.md" },
      { from: "node_modules/pure-rand/LICENSE", to: "dist/licenses", rename: "pure-rand.txt" },
    ],
  },
  // The command line, the probe that doctor starts, the thread that reads strangers' files, and what scripts/ need of the
  // library before the addon is built.
  {
    ...shared,
    entry: {
      cli: "lib/cli.ts",
      libtorch: "lib/libtorch.ts",
      probe: "lib/probe.ts",
      "data-worker": "lib/data/worker.ts",
    },
    format: "esm",
    dts: false,
  },
]);
