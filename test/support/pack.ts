import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import lockfile from "proper-lockfile";

const run = promisify(execFile);
const root = path.join(import.meta.dirname, "..", "..");

/** What `npm pack --json` says of a tarball. */
export interface Packed {
  filename: string;
  size: number;
  files: { path: string; size: number }[];
}

/** Builds the addons as a release has them and packs the package into a folder; one test file at a time. */
export async function pack(folder: string): Promise<Packed> {
  const shared = path.join(root, ".cache");
  await mkdir(shared, { recursive: true });
  // Compiling takes minutes, for which the other one waits.
  const release = await lockfile.lock(shared, {
    lockfilePath: path.join(shared, "pack.lock"),
    retries: { retries: 600, factor: 1, minTimeout: 1000 },
  });
  try {
    await run(process.execPath, [path.join(root, "scripts", "prebuild.mjs")], { cwd: root, maxBuffer: 2 ** 26 });
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root });
    const [packed] = JSON.parse(stdout) as [Packed];
    return packed;
  } finally {
    await release();
  }
}
