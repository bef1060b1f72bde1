import * as v from "valibot";
import type { Bypass } from "../bypass/bypass.js";
import { wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";

/** Limits of a server. A request beyond one is refused with a status that says which. */
export interface ServeLimits {
  /** The maximum size of a request body in bytes. Status 413. Defaults to 4 MiB. */
  bodyBytes?: number;
  /** The maximum number of tokens of each prompt. Status 400. Defaults to the model's context length. */
  promptTokens?: number;
  /** The maximum of `max_tokens`. Status 400. Defaults to the model's context length. */
  newTokens?: number;
  /** The maximum number of choices of a request: its prompts times `n`. Status 400. Defaults to 128. */
  choices?: number;
  /** The maximum of `logprobs`. Status 400. Defaults to 20. */
  logprobs?: number;
  /**
   * The maximum number of choices that are computed at the same time, of all requests together. Other requests wait.
   * Defaults to 128.
   */
  running?: number;
  /** The maximum number of requests that wait. Status 429, with Retry-After. Defaults to 256. */
  queue?: number;
  /** The maximum time of a request in seconds, with its wait. Status 504. Defaults to 600. */
  seconds?: number;
  /** The maximum time to receive a request in seconds. Status 408. Defaults to 30. */
  receiveSeconds?: number;
}

/** Options of `serve`. */
export interface ServeOptions {
  /** The name of the model in the API. Defaults to its family, such as "gpt-neox". */
  name?: string;
  /**
   * Bypasses by name. The bypass `q4` of the model `pythia-160m` is the model `pythia-160m:q4` of the API. The model
   * without a bypass is always served too.
   */
  bypasses?: Readonly<Record<string, Bypass>>;
  /** The address to listen on. An address that other machines reach requires an API key. Defaults to "127.0.0.1". */
  host?: string;
  /** The port to listen on. 0 chooses a free one. Defaults to 8080. */
  port?: number;
  /**
   * The key that requests must contain, as `Authorization: Bearer KEY`. Defaults to the environment variable
   * ATTENTION_BYPASS_API_KEY; without either, requests need no key.
   */
  apiKey?: string;
  /** Limits on requests. */
  limits?: ServeLimits;
  /** How long `close` waits for running requests, in seconds. Defaults to 30. */
  drainSeconds?: number;
  /** Called with each error that is not caused by a request, such as OUT_OF_MEMORY. Defaults to ignoring them. */
  onError?: (error: unknown) => void;
}

const nameText = (characters: RegExp, message: string) =>
  v.pipe(
    v.string(),
    v.check((text: string) => characters.test(text), message),
  );

/** A timer of Node.js runs at most this long. */
const mostSeconds = 2_147_483;
const seconds = v.pipe(
  v.number(),
  v.check((value: number) => value > 0 && value <= mostSeconds, `a number above 0 and up to ${mostSeconds}`),
);

const limits = v.strictObject({
  bodyBytes: v.optional(wholeNumber(1), 4 * 2 ** 20),
  promptTokens: v.optional(wholeNumber(1)),
  newTokens: v.optional(wholeNumber(1)),
  choices: v.optional(wholeNumber(1), 128),
  logprobs: v.optional(wholeNumber(0), 20),
  running: v.optional(wholeNumber(1), 128),
  queue: v.optional(wholeNumber(0), 256),
  seconds: v.optional(seconds, 600),
  receiveSeconds: v.optional(seconds, 30),
});

export const serveSchema = v.strictObject({
  name: v.optional(nameText(/^[^\s:]{1,200}$/, "a name of at most 200 characters without white space and colons")),
  // toPlan checks each bypass.
  bypasses: v.optional(
    v.record(nameText(/^\S{1,200}$/, "names of at most 200 characters without white space"), v.unknown()),
    {},
  ),
  host: v.optional(v.pipe(v.string(), v.nonEmpty("an address")), "127.0.0.1"),
  port: v.optional(
    v.pipe(
      v.number(),
      v.check((port: number) => Number.isInteger(port) && port >= 0 && port <= 65_535, "a port from 0 to 65535"),
    ),
    8080,
  ),
  apiKey: v.optional(v.pipe(v.string(), v.nonEmpty("a key that is not empty"))),
  limits: v.optional(limits, {}),
  drainSeconds: v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => value >= 0 && value <= mostSeconds, `a number from 0 to ${mostSeconds}`),
    ),
    30,
  ),
  onError: v.optional(v.function() as v.GenericSchema<(error: unknown) => void>),
});

/** The limits of a server, with the model's own. */
export type Limits = Required<ServeLimits>;

/** Returns the limits with the defaults that depend on the model. */
export function limitsOf(checked: v.InferOutput<typeof serveSchema>["limits"], config: ModelConfig): Limits {
  const { promptTokens = config.contextLength, newTokens = config.contextLength, ...others } = checked;
  return { ...others, promptTokens, newTokens };
}
