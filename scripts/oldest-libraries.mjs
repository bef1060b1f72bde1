// Checks that an addon loads on the oldest systems on which libtorch loads: node scripts/oldest-libraries.mjs FILE...
import { execFileSync } from "node:child_process";

/** The requirements of libtorch 2.13 (`objdump -T libtorch_cpu.so libc10.so`), which Debian 11, Ubuntu 20.04 and RHEL 8 meet. */
const oldest = { GLIBC: "2.28", GLIBCXX: "3.4.22", CXXABI: "1.3.11" };

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = a.findIndex((number, index) => number !== (b[index] ?? 0));
  return at >= 0 && a[at] > (b[at] ?? 0);
}

/** Returns the symbols of a shared library, such as "dlopen@GLIBC_2.34", that are newer than those of the oldest systems. */
export function newerThanOldest(file) {
  const table = execFileSync("objdump", ["-T", file], { encoding: "utf8", maxBuffer: 2 ** 28 });
  return [...table.matchAll(/\*UND\*.*\(?(GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)?\s+(\S+)$/gm)]
    .filter(([, library, version]) => isNewer(version, oldest[library]))
    .map(([, library, version, symbol]) => `${symbol}@${library}_${version}`);
}

if (process.argv[1] === import.meta.filename) {
  const found = process.argv.slice(2).map((file) => [file, newerThanOldest(file)]);
  for (const [file, symbols] of found)
    console.log(`${file}: ${symbols.join(", ") || "no newer symbols than libtorch"}`);
  if (found.some(([, symbols]) => symbols.length > 0)) process.exitCode = 1;
}
