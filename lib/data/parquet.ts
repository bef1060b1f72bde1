import { AttentionBypassError } from "../errors/errors.js";
import { optionalPackage } from "../errors/optional-package.js";
import type { InputFile } from "../files/input-file.js";
import { DataProcess } from "./process-client.js";
import { mostRows } from "./row-limit.js";

/** The time limit of reading in milliseconds: a base, and an addition for each MiB of the file. */
const baseDeadline = 30_000;
const deadlinePerMebibyte = 2000;

/** Reads the first rows of a Parquet file. Throws PACKAGE_MISSING, and the purpose's code for an invalid file. */
export async function readParquet(
  file: InputFile,
  limit: number | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  signal?.throwIfAborted();
  // The data process loads these packages; the imports here only check that they are installed.
  await optionalPackage("hyparquet", "read Parquet files", () => import("hyparquet"));
  await optionalPackage("hyparquet-compressors", "read Parquet files", () => import("hyparquet-compressors"));
  using child = new DataProcess();
  const deadline = baseDeadline + (file.size / 2 ** 20) * deadlinePerMebibyte;
  try {
    const rows = await child.ask(
      { parquet: { size: file.size, limit, most: mostRows } },
      { deadline, signal },
      (position, length) => file.read(position, length),
    );
    return rows as unknown[];
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AttentionBypassError) throw error;
    throw file.refuse(
      `it is a Parquet file that can't be read (${(error as Error).message})`,
      "write it again, or as JSON lines",
    );
  }
}
