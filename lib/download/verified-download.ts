import { open, rename, rm, stat } from "node:fs/promises";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { writing } from "./disk.js";
import { type ContentHash, hashOf } from "./hash.js";
import { type RequestOptions, type Response, request } from "./request.js";
import { downloadFailed, RetryableError, retrying } from "./retry.js";

export interface Download extends Pick<RequestOptions, "authorization" | "headers" | "refuse"> {
  url: string;
  /** The path of the complete file. */
  file: string;
  /** The path of the data until then, which a later call continues. Defaults to the file's with .part. */
  part?: string;
  hash: ContentHash;
  /** The number of bytes, if it is known. */
  size?: number;
}

export interface DownloadControl {
  signal?: AbortSignal | undefined;
  /** Called with the number of bytes that are present and the number of all bytes. */
  onBytes?: ((done: number, total: number) => void) | undefined;
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Returns the number of bytes of the whole file that a response announces; undefined if it does not. */
function announcedSize(response: Response, from: number): number | undefined {
  const length = response.headers.get("content-length");
  if (length === null || response.headers.has("content-encoding")) return undefined;
  return from + Number(length);
}

/** Returns from which byte on a response continues the file: `existing`, or 0 if it has the whole file. */
function startOf(response: Response, existing: number): number {
  const continues = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${existing}-`);
  return continues ? existing : 0;
}

/** Writes the body of a response to the part file, from byte `from` on. */
async function writeBody(
  response: Response,
  part: string,
  from: number,
  { url, size }: Download,
  { signal, onBytes }: DownloadControl,
): Promise<void> {
  const announced = announcedSize(response, from);
  if (size !== undefined && announced !== undefined && announced !== size) {
    const type = response.headers.get("content-type") ?? "no content type";
    throw downloadFailed(url, `the server offers ${announced} bytes (${type}) of a file that has ${size}`);
  }
  const total = size ?? announced ?? Number.NaN;
  let done = from;
  // A new file, not an emptied one: a process that was suspended and lost its lock may still have the old one open.
  if (from === 0) await rm(part, { force: true });
  const file = await writing(part, () => open(part, from === 0 ? "wx" : "r+"));
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      if (done + chunk.byteLength > total) throw downloadFailed(url, `the server sends more than ${total} bytes`);
      // At its position, not at the end, so that two processes would write the same bytes to the same place.
      await writing(part, () => writeAt(file, chunk, done));
      done += chunk.byteLength;
      if (total > 0) onBytes?.(done, total);
    }
    await writing(part, () => file.sync());
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AttentionBypassError) throw error;
    throw new RetryableError(messageOf(error));
  } finally {
    await file.close();
  }
  if (done < total) throw new RetryableError(`the connection closed after ${done} of ${total} bytes`);
}

async function writeAt(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) {
    at += (await file.write(chunk, at, chunk.byteLength - at, position + at)).bytesWritten;
  }
}

/** Requests the missing part of the file and appends it. */
async function fetchRest(download: Download, part: string, control: DownloadControl): Promise<void> {
  const { url, size, headers, authorization, refuse } = download;
  const existing = await sizeOf(part);
  if (existing > 0 && existing === size) return;
  const options = {
    signal: control.signal,
    authorization,
    headers: { ...headers, ...(existing > 0 && { range: `bytes=${existing}-` }) },
    // Range not satisfiable: the part file is complete or of another file. The checksum decides.
    refuse: (response: Response) => (response.status === 416 ? unsatisfiable : refuse?.(response)),
  };
  try {
    await request(url, options, (response) =>
      writeBody(response, part, startOf(response, existing), download, control),
    );
  } catch (error) {
    if (error !== unsatisfiable) throw error;
  }
}

const unsatisfiable = new AttentionBypassError("DOWNLOAD_FAILED", "range not satisfiable");

/**
 * Downloads a file with a known checksum. The file exists only after its checksum was verified. Throws DOWNLOAD_FAILED,
 * CHECKSUM_MISMATCH, DISK_FULL, WRITE_FAILED, and the errors of `refuse`.
 */
export async function downloadVerified(download: Download, control: DownloadControl): Promise<void> {
  const { url, file, part = `${file}.part`, hash, size = Number.POSITIVE_INFINITY } = download;
  let found = "";
  // A part file from an earlier call may be of another file. If the checksum differs, the download starts again.
  const existing = await sizeOf(part);
  for (const fresh of [existing === 0 || existing > size, true]) {
    if (fresh) await rm(part, { force: true });
    await retrying(
      url,
      control.signal,
      () => fetchRest(download, part, control),
      () => sizeOf(part),
    );
    found = await hashOf(part, hash.algorithm, control.signal);
    if (found === hash.value) return writing(file, () => rename(part, file));
    if (fresh) break;
  }
  await rm(part, { force: true });
  const name = hash.algorithm === "sha256" ? "SHA-256" : "Git SHA-1";
  throw new AttentionBypassError(
    "CHECKSUM_MISMATCH",
    `expected the ${name} ${hash.value} for ${url} but received ${found}`,
  );
}
