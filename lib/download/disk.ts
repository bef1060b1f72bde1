import { statfs } from "node:fs/promises";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { makeFolder } from "../files/make-folder.js";
import { writeFailure } from "../files/output-file.js";

const writeErrorCodes = ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EROFS", "EPERM", "ENOTDIR", "EIO", "EEXIST"];

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/**
 * Creates a folder and checks that its disk has `bytes` free. `variable` is the environment variable that selects another
 * folder. Throws DISK_FULL, WRITE_FAILED.
 */
export async function requireSpace(folder: string, bytes: number, variable: string): Promise<void> {
  await makeFolder(folder);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes) {
    throw new AttentionBypassError(
      "DISK_FULL",
      `expected ${gibibytes(bytes)} free in ${folder} but found ${gibibytes(bavail * bsize)}; free some space, or set ` +
        `${variable} to another folder`,
    );
  }
}

/** Runs work that writes to `place` and reports its write errors with codes. Throws DISK_FULL, WRITE_FAILED. */
export async function writing<Value>(place: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    // Other errors may come from what the work reads.
    if (!writeErrorCodes.includes(systemCode(error) ?? "")) throw error;
    throw writeFailure(place, error);
  }
}
