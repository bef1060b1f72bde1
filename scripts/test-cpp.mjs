// Builds the unit tests of test/cpp/ with sanitizers in build-cpp-tests/ and runs them; arguments go to GoogleTest:
//   node scripts/test-cpp.mjs [--gtest_filter=PlanTree*]
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import path from "node:path";
import { pinned, pinnedSeries } from "./compile.mjs";

const root = path.join(import.meta.dirname, "..");
const build = path.join(root, "build-cpp-tests");

const run = (command, ...args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function hasGoogleTest() {
  const args = ["-E", "-x", "c++", "-include", "gtest/gtest.h", "/dev/null"];
  return spawnSync("c++", args, { stdio: "ignore" }).status === 0;
}

async function test() {
  const { findLibtorch, libtorchNotFound } = await import("../dist/libtorch.js");
  const { found, attempts } = await findLibtorch(pinned, [pinnedSeries], false);
  if (!found) throw libtorchNotFound(pinned, attempts);
  const definitions = ["-DCORE_TESTS=ON", "-DSANITIZE=address,undefined", `-DLIBTORCH=${found.folder}`];
  return (
    run("cmake", "-S", root, "-B", build, ...definitions) ||
    run("cmake", "--build", build, "--target", "core-tests", "--parallel", `${availableParallelism()}`) ||
    run(path.join(build, "test", "cpp", "core-tests"), ...process.argv.slice(2))
  );
}

if (hasGoogleTest()) {
  process.exitCode = await test();
} else {
  console.log("test:cpp: skipped because GoogleTest is not installed; on Debian, run `apt-get install libgtest-dev`");
  process.exitCode = process.env.CI === "true" ? 1 : 0;
}
