import type { Response } from "undici";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import { downloadFailed, RetryableError, retryAfter } from "./retry.js";

export type { Response };

/** The time without data after which a connection is closed, in milliseconds. */
const connectionTimeout = 30_000;
/** The most redirects of one request. */
const mostRedirects = 10;

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string> | undefined;
  /** The Authorization header. It is sent only to the host of the URL, not to hosts to which it redirects. */
  authorization?: string | undefined;
  /** Returns the error for a response that is neither successful nor worth repeating; undefined for a general one. */
  refuse?: ((response: Response) => AttentionBypassError | undefined) | undefined;
}

/** Returns the URL that a response redirects to; undefined if it does not. Throws DOWNLOAD_FAILED. */
function redirectOf(response: Response, from: string): string | undefined {
  const location = response.headers.get("location");
  if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return undefined;
  if (!URL.canParse(location, from)) throw downloadFailed(from, "the server redirects to an invalid URL");
  const to = new URL(location, from);
  const unsafe = new URL(from).protocol === "https:" && to.protocol !== "https:";
  if (unsafe || !/^https?:$/.test(to.protocol)) {
    throw downloadFailed(from, `the server redirects to ${to.protocol}//${to.host}, which is not https`);
  }
  return to.href;
}

/**
 * Sends one GET request, follows redirects, and calls `read` with the successful response. HTTP_PROXY, HTTPS_PROXY and
 * NO_PROXY apply. Throws DOWNLOAD_FAILED, the errors of `refuse`, and a `RetryableError` for failures that may pass.
 */
export async function request<Result>(
  url: string,
  { signal, headers, authorization, refuse }: RequestOptions,
  read: (response: Response) => Promise<Result>,
): Promise<Result> {
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent({ headersTimeout: connectionTimeout, bodyTimeout: connectionTimeout });
  try {
    let place = url;
    let trusted = authorization !== undefined;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      trusted &&= new URL(place).origin === new URL(url).origin;
      const response = await fetch(place, {
        dispatcher,
        signal: signal ?? null,
        redirect: "manual",
        headers: { "accept-encoding": "identity", ...headers, ...(trusted && { authorization: authorization ?? "" }) },
      });
      const next = redirectOf(response, place);
      if (next === undefined) return await read(await checked(url, response, refuse));
      await response.body?.cancel();
      place = next;
    }
    throw downloadFailed(url, `the server redirects more than ${mostRedirects} times`);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AttentionBypassError || error instanceof RetryableError) throw error;
    const { cause } = error as Error;
    throw new RetryableError(messageOf(cause ?? error));
  } finally {
    await dispatcher.destroy();
  }
}

async function checked(url: string, response: Response, refuse: RequestOptions["refuse"]): Promise<Response> {
  const { ok, status } = response;
  if (ok) return response;
  if (status >= 500 || status === 429 || status === 408) {
    throw new RetryableError(
      `the server responded with HTTP ${status}`,
      retryAfter(response.headers.get("retry-after")),
    );
  }
  throw refuse?.(response) ?? downloadFailed(url, `the server responded with HTTP ${status}`);
}

/** Reads the body of a response as text. Throws DOWNLOAD_FAILED if it has more than `limit` bytes. */
export async function readText(response: Response, url: string, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw downloadFailed(url, `the response has more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
