import { defineConfig, type UserConfig } from "tsdown";

const shared = {
  platform: "node",
  target: "node20",
  sourcemap: true,
  // Several builds share the folder; scripts/setup.mjs empties it.
  clean: false,
  fixedExtension: false,
  inputOptions: { checks: { pluginTimings: false } },
  deps: { neverBundle: ["#binding"] },
} satisfies UserConfig;

export default defineConfig([
  { ...shared, entry: ["lib/index.ts"], format: ["esm", "cjs"], dts: true },
  // The command line, the probe that doctor starts, and what scripts/ need of the library before the addon is built.
  { ...shared, entry: ["lib/cli.ts", "lib/libtorch.ts", "lib/probe.ts"], format: "esm", dts: false },
]);
