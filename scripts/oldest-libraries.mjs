// Whether an addon loads on the oldest systems that PyTorch's own libtorch loads on: node scripts/oldest-libraries.mjs FILE...
import { execFileSync } from "node:child_process";

/** What libtorch 2.13 itself needs (`objdump -T libtorch_cpu.so libc10.so`): Debian 11, Ubuntu 20.04 and RHEL 8 have it. */
const oldest = { GLIBC: "2.28", GLIBCXX: "3.4.22", CXXABI: "1.3.11" };

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = a.findIndex((number, index) => number !== (b[index] ?? 0));
  return at >= 0 && a[at] > (b[at] ?? 0);
}

/** The symbols, such as "dlopen@GLIBC_2.34", that a shared library needs in newer versions than the oldest systems have. */
export function newerThanOldest(file) {
  const table = execFileSync("objdump", ["-T", file], { encoding: "utf8", maxBuffer: 2 ** 28 });
  return [...table.matchAll(/\*UND\*.*\(?(GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)?\s+(\S+)$/gm)]
    .filter(([, library, version]) => isNewer(version, oldest[library]))
    .map(([, library, version, symbol]) => `${symbol}@${library}_${version}`);
}

if (process.argv[1] === import.meta.filename) {
  const found = process.argv.slice(2).map((file) => [file, newerThanOldest(file)]);
  for (const [file, symbols] of found) console.log(`${file}: ${symbols.join(", ") || "loads wherever libtorch does"}`);
  if (found.some(([, symbols]) => symbols.length > 0)) process.exitCode = 1;
}
