import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AttentionBypassError } from "../errors/errors.js";
import type { OperationOptions } from "../operation/operation.js";
import { writing } from "./disk.js";

export interface Download {
  url: string;
  /** The path of the complete file. Until then the data is in a .part file next to it, which a later call continues. */
  file: string;
  sha256: string;
}

/** The number of consecutive attempts without new data before the download fails. */
const maxAttempts = 6;
/** The time without data after which a connection is closed, in milliseconds. */
const connectionTimeout = 30_000;

function failed(url: string, why: string, cause?: unknown): AttentionBypassError {
  return new AttentionBypassError("DOWNLOAD_FAILED", `expected to download ${url} but ${why}`, { cause });
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** A failure after which the download is retried. */
class RetryableError extends Error {}

/** Requests the missing part of the file and appends it. */
async function fetchRest(url: string, part: string, { signal, onProgress }: OperationOptions): Promise<void> {
  const existing = await sizeOf(part);
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  // EnvHttpProxyAgent reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
  const dispatcher = new EnvHttpProxyAgent({ headersTimeout: connectionTimeout, bodyTimeout: connectionTimeout });
  try {
    const response = await fetch(url, {
      dispatcher,
      signal: signal ?? null,
      headers: { "accept-encoding": "identity", ...(existing > 0 && { range: `bytes=${existing}-` }) },
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      const { cause } = error as Error;
      throw new RetryableError((cause instanceof Error ? cause : (error as Error)).message);
    });
    // Range not satisfiable: the part file is complete or of another file. The checksum decides.
    if (response.status === 416) return;
    if (response.status >= 500 || response.status === 429)
      throw new RetryableError(`the server responded with HTTP ${response.status}`);
    if (!response.ok || !response.body) throw failed(url, `the server responded with HTTP ${response.status}`);
    const continues =
      response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${existing}-`);
    let done = continues ? existing : 0;
    const total = done + Number(response.headers.get("content-length") ?? Number.NaN);
    const file = await writing(part, () => open(part, continues ? "a" : "w"));
    try {
      for await (const chunk of response.body) {
        await writing(part, () => file.appendFile(chunk));
        done += (chunk as Uint8Array).byteLength;
        if (total > 0) onProgress?.(Math.min(1, done / total));
      }
      await writing(part, () => file.sync());
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof AttentionBypassError) throw error;
      throw new RetryableError((error as Error).message);
    } finally {
      await file.close();
    }
    if (done < total) throw new RetryableError(`the connection closed after ${done} of ${total} bytes`);
  } finally {
    await dispatcher.destroy();
  }
}

/**
 * Downloads the file and retries with increasing delays. Fails after `maxAttempts` attempts in a row without new data.
 */
async function fetchAll(url: string, part: string, options: OperationOptions): Promise<void> {
  let failedAttempts = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      return await fetchRest(url, part, options);
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      failedAttempts = (await sizeOf(part)) > before ? 1 : failedAttempts + 1;
      if (failedAttempts === maxAttempts) throw failed(url, error.message, error);
      await sleep(100 * 2 ** failedAttempts, undefined, { signal: options.signal }).catch(() =>
        options.signal?.throwIfAborted(),
      );
    }
  }
}

/**
 * Downloads a file with a known checksum. The file exists only after its checksum was verified. Throws DOWNLOAD_FAILED,
 * CHECKSUM_MISMATCH, DISK_FULL, WRITE_FAILED.
 */
export async function download({ url, file, sha256 }: Download, options: OperationOptions): Promise<void> {
  const part = `${file}.part`;
  let found = "";
  // A part file from an earlier call may be of another file. If the checksum differs, the download starts again.
  for (const fresh of [(await sizeOf(part)) === 0, true]) {
    if (fresh) await rm(part, { force: true });
    await fetchAll(url, part, options);
    found = await sha256Of(part);
    if (found === sha256) return writing(file, () => rename(part, file));
    if (fresh) break;
  }
  await rm(part, { force: true });
  throw new AttentionBypassError(
    "CHECKSUM_MISMATCH",
    `expected the SHA-256 ${sha256} for ${url} but received ${found}`,
  );
}
