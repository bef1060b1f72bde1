import * as v from "valibot";
import type { Bypass } from "../bypass/bypass.js";
import { ApiError } from "./api-error.js";
import type { ModelNames } from "./model-names.js";
import type { Limits } from "./options.js";
import { listPrompts } from "./prompts.js";
import { checkBody, commonFields, field, integer, neutral } from "./request-fields.js";

/** A checked request of either endpoint. */
export interface GenerationRequest {
  /** The name of the model as it was requested. */
  model: string;
  bypass: Bypass | undefined;
  prompts: (string | number[])[];
  maxTokens: number;
  n: number;
  sampling: { temperature: number; topP: number; topK?: number; stop: readonly string[] };
  /** The seed of the first choice of each prompt; each further choice has the next number. Undefined: random. */
  seed: number | undefined;
  /** The number of most probable tokens to return for each token. Undefined: no log-probabilities. */
  logprobs: number | undefined;
  /** Whether choices begin with their prompt. */
  echo: boolean;
  stream: { includeUsage: boolean } | undefined;
}

/** OpenAI's default. */
const defaultMaxTokens = 16;

/** Returns the schema of a completion's body under the limits. */
const completionSchema = (limits: Limits) =>
  v.strictObject({
    ...commonFields,
    prompt: v.unknown(),
    max_tokens: field(integer(0, limits.newTokens)),
    logprobs: field(integer(0, limits.logprobs)),
    echo: field(v.boolean()),
    best_of: field(integer(1, Number.MAX_SAFE_INTEGER)),
    suffix: neutral(""),
  });

type Common = v.InferOutput<v.StrictObjectSchema<typeof commonFields, undefined>>;

/** Returns what completions and chat completions have in common. Throws 400, 404. */
export function commonOf(body: Common, names: ModelNames) {
  const { model, temperature = 1, top_p: topP = 1, top_k = 0, n = 1, stop = [], seed, stream_options } = body;
  if (stream_options !== undefined && body.stream !== true) {
    throw new ApiError(400, "expected stream_options only with stream: true", { param: "stream_options" });
  }
  return {
    ...{ model, n, seed },
    bypass: names.bypassOf(model, body.bypass),
    sampling: { temperature, topP, ...(top_k > 0 && { topK: top_k }), stop: [stop].flat() },
    stream: body.stream === true ? { includeUsage: stream_options?.include_usage ?? false } : undefined,
  };
}

/** Checks the body of a request to /v1/completions. Throws 400, 404. */
export function parseCompletion(body: unknown, names: ModelNames, limits: Limits): GenerationRequest {
  const checked = checkBody(completionSchema(limits), body);
  const common = commonOf(checked, names);
  const { max_tokens: maxTokens = defaultMaxTokens, logprobs, echo = false, best_of = common.n } = checked;
  if (best_of !== common.n) {
    throw new ApiError(400, `expected best_of equal to n, ${common.n}, since this server does not select choices`, {
      param: "best_of",
      code: "unsupported_parameter",
    });
  }
  if (maxTokens === 0 && !echo) {
    throw new ApiError(400, "expected max_tokens of at least 1, or 0 with echo", { param: "max_tokens" });
  }
  return {
    ...common,
    prompts: listPrompts(checked.prompt, { n: common.n, most: limits.choices }),
    ...{ maxTokens, logprobs, echo },
  };
}
