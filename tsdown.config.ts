import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["lib/index.ts", "lib/cli.ts", "lib/libtorch.ts"],
  format: ["esm", "cjs"],
  platform: "node",
  target: "node20",
  dts: true,
  sourcemap: true,
  fixedExtension: false,
  inputOptions: { checks: { pluginTimings: false } },
  deps: { neverBundle: ["#binding"] },
});
