import { AttentionBypassError } from "../errors/errors.js";
import { optionalPackage } from "../errors/optional-package.js";
import type { InputFile } from "../files/input-file.js";
import { DataProcess } from "./process-client.js";
import { mostRows } from "./row-limit.js";

/** Milliseconds that reading may take, and what each MiB of the file adds. */
const baseDeadline = 30_000;
const deadlinePerMebibyte = 2000;

/** The first rows of a Parquet file. Throws the purpose's code, once, whatever is wrong with the file. */
export async function readParquet(
  file: InputFile,
  limit: number | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown[]> {
  signal?.throwIfAborted();
  // The process loads it too; whether it is installed is found out here.
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
      `it is Parquet that can't be read (${(error as Error).message})`,
      "write it again, or as JSON lines",
    );
  }
}
