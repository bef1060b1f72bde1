import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AttentionBypassError } from "../errors/errors.js";
import type { OperationOptions } from "../operation/operation.js";
import { onDisk } from "./disk.js";

export interface Download {
  url: string;
  /** Where the whole file goes. What has come of it lies beside it meanwhile, and a later call goes on from there. */
  file: string;
  sha256: string;
}

const attempts = 6;
// A connection on which nothing comes for so long is taken for dead.
const patience = 30_000;

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

/** A failure that the same request may not meet again. */
class Interrupted extends Error {}

/** Asks for what is missing of the file, and appends it. */
async function fetchRest(url: string, part: string, { signal, onProgress }: OperationOptions): Promise<void> {
  const had = await sizeOf(part);
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  // HTTP_PROXY, HTTPS_PROXY and NO_PROXY say how to get there.
  const dispatcher = new EnvHttpProxyAgent({ headersTimeout: patience, bodyTimeout: patience });
  try {
    const response = await fetch(url, {
      dispatcher,
      signal: signal ?? null,
      headers: { "accept-encoding": "identity", ...(had > 0 && { range: `bytes=${had}-` }) },
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      const { cause } = error as Error;
      throw new Interrupted((cause instanceof Error ? cause : (error as Error)).message);
    });
    // The server has no more than what is here: it is whole, or not what it was.
    if (response.status === 416) return;
    if (response.status >= 500 || response.status === 429)
      throw new Interrupted(`the server answered ${response.status}`);
    if (!response.ok || !response.body) throw failed(url, `the server answered ${response.status}`);
    const goesOn = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${had}-`);
    let done = goesOn ? had : 0;
    const total = done + Number(response.headers.get("content-length") ?? Number.NaN);
    const file = await onDisk(part, () => open(part, goesOn ? "a" : "w"));
    try {
      for await (const chunk of response.body) {
        await onDisk(part, () => file.appendFile(chunk));
        done += (chunk as Uint8Array).byteLength;
        if (total > 0) onProgress?.(Math.min(1, done / total));
      }
      await onDisk(part, () => file.sync());
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof AttentionBypassError) throw error;
      throw new Interrupted((error as Error).message);
    } finally {
      await file.close();
    }
    if (done < total) throw new Interrupted(`it ended after ${done} of ${total} bytes`);
  } finally {
    await dispatcher.destroy();
  }
}

/** Asks again where the connection breaks, later and later, as long as something comes in between. */
async function fetchAll(url: string, part: string, options: OperationOptions): Promise<void> {
  let fruitless = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      return await fetchRest(url, part, options);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      fruitless = (await sizeOf(part)) > before ? 1 : fruitless + 1;
      if (fruitless === attempts) throw failed(url, error.message, error);
      await sleep(100 * 2 ** fruitless, undefined, { signal: options.signal }).catch(() =>
        options.signal?.throwIfAborted(),
      );
    }
  }
}

/**
 * Downloads a file whose checksum is known; it is there whole and right, or not at all. Throws DOWNLOAD_FAILED,
 * CHECKSUM_MISMATCH, DISK_FULL, WRITE_FAILED.
 */
export async function download({ url, file, sha256 }: Download, options: OperationOptions): Promise<void> {
  const part = `${file}.part`;
  let found = "";
  // What an earlier call left may be of another file; then everything is asked for once more.
  for (const fresh of [(await sizeOf(part)) === 0, true]) {
    if (fresh) await rm(part, { force: true });
    await fetchAll(url, part, options);
    found = await sha256Of(part);
    if (found === sha256) return onDisk(file, () => rename(part, file));
    if (fresh) break;
  }
  await rm(part, { force: true });
  throw new AttentionBypassError(
    "CHECKSUM_MISMATCH",
    `expected the SHA-256 ${sha256} for what ${url} gives but received ${found}`,
  );
}
