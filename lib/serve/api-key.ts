import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { AttentionBypassError } from "../errors/errors.js";
import { ApiError } from "./api-error.js";

/** The environment variable of the server's key. */
export const keyVariable = "ATTENTION_BYPASS_API_KEY";

/** Returns the key in the environment. An empty one is none. */
export const environmentKey = (): string | undefined => process.env[keyVariable] || undefined;

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Returns a check of the header Authorization, which takes the same time for every wrong key. Throws 401. */
export function keyCheck(apiKey: string): (header: string | undefined) => void {
  const expected = digest(apiKey);
  return (header) => {
    const given = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    throw new ApiError(401, "expected the server's API key in the header Authorization: Bearer KEY", {
      code: "invalid_api_key",
    });
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Throws INVALID_ARGUMENT if other machines could use a server without a key. */
export function requireKey(host: string, apiKey: string | undefined): void {
  if (apiKey !== undefined || isLoopback(host)) return;
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected an API key for options.host ${JSON.stringify(host)}, which other machines can reach, but there is none; ` +
      `set the environment variable ${keyVariable}, or listen on 127.0.0.1`,
  );
}
