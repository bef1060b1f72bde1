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
  // The command line, and what scripts/setup.mjs needs of the library before the addon is built.
  { ...shared, entry: ["lib/cli.ts", "lib/libtorch.ts"], format: "esm", dts: false },
]);
