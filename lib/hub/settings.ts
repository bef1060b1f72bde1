import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { systemCode } from "../errors/errors.js";
import { invalidArgument } from "../errors/validation.js";
import type { HubOptions } from "./options.js";

/** The options of the hub with the defaults of the environment. */
export interface HubSettings {
  readonly cacheFolder: string;
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** Whether no request may be sent. */
  readonly offline: boolean;
}

/** Returns the value of the first environment variable that is set and not empty. */
function variable(...names: string[]): string | undefined {
  return names.map((name) => process.env[name]).find((value) => value !== undefined && value !== "");
}

const isTrue = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");

/** Replaces ~ and variables in a path, as the Python package does. */
function expand(place: string): string {
  const known = place.replace(/\$(\w+)|\$\{([^}]*)\}/g, (text, plain, braced) => process.env[plain ?? braced] ?? text);
  return known.replace(/^~(?=\/|$)/, homedir());
}

function home(): string {
  const cache = variable("XDG_CACHE_HOME") ?? path.join(homedir(), ".cache");
  return expand(variable("HF_HOME") ?? path.join(cache, "huggingface"));
}

const withoutImplicitToken = () => isTrue(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"));

/** Returns what messages advise for a missing or wrong token. */
export const tokenAdvice = () =>
  withoutImplicitToken() ? "unset HF_HUB_DISABLE_IMPLICIT_TOKEN and set HF_TOKEN" : "set HF_TOKEN";

async function findToken(): Promise<string | undefined> {
  if (withoutImplicitToken()) return undefined;
  const given = variable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")?.trim();
  if (given) return given;
  const file = expand(variable("HF_TOKEN_PATH") ?? path.join(home(), "token"));
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return "";
    throw invalidArgument("HF_TOKEN_PATH", "a file that can be read", file);
  });
  return text.trim() || undefined;
}

/** Adds the defaults of the environment to the options. Throws INVALID_ARGUMENT. */
export async function resolveSettings({ cacheFolder, endpoint, token }: HubOptions): Promise<HubSettings> {
  const fromVariable = variable("HF_ENDPOINT");
  const hub = endpoint ?? fromVariable ?? "https://huggingface.co";
  if (!/^https?:\/\//.test(hub) || !URL.canParse(hub)) throw invalidArgument("HF_ENDPOINT", "an http(s) URL", hub);
  const access = token ?? (await findToken());
  if (access !== undefined && !/^[\x21-\x7e]+$/.test(access)) {
    throw invalidArgument("HF_TOKEN", "a token without spaces", "other text");
  }
  return {
    cacheFolder: path.resolve(
      cacheFolder ?? expand(variable("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? path.join(home(), "hub")),
    ),
    endpoint: hub.replace(/\/+$/, ""),
    token: access,
    offline: isTrue(variable("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
  };
}
