import { mkdir, statfs } from "node:fs/promises";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { writeFailure } from "../files/output-file.js";

const ofWriting = ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EROFS", "EPERM", "ENOTDIR", "EIO", "EEXIST"];

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Makes a folder that so much is to be written to. Throws DISK_FULL, WRITE_FAILED. */
export async function makeRoom(folder: string, bytes: number): Promise<void> {
  await onDisk(folder, () => mkdir(folder, { recursive: true }));
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes) {
    throw new AttentionBypassError(
      "DISK_FULL",
      `expected ${gibibytes(bytes)} free in ${folder} but found ${gibibytes(bavail * bsize)}; ATTENTION_BYPASS_CACHE can name another folder`,
    );
  }
}

/** Work that writes to a place; its failures say so. Throws DISK_FULL, WRITE_FAILED. */
export async function onDisk<Value>(place: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    // Others may be of what is read meanwhile.
    if (!ofWriting.includes(systemCode(error) ?? "")) throw error;
    throw writeFailure(place, error);
  }
}
