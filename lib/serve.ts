import { invalidArgument, reading } from "./errors/validation.js";
import type { Model } from "./model.js";
import type { ServeOptions } from "./serve/options.js";
import { type Server, startServer } from "./serve/server.js";

/** Returns whether a value has the calls of a model. The class is another one in the other module system. */
function isModel(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { config, stream, logProbabilities } = value as Partial<Model>;
  return typeof config === "object" && [stream, logProbabilities].every((call) => typeof call === "function");
}

/**
 * Serves a model over HTTP with OpenAI's API for completions, without a bypass and with several by name. Requests that
 * run at the same time decode as one batch. Requires the optional package fastify. Throws INVALID_ARGUMENT,
 * TOKENIZER_MISSING, PACKAGE_MISSING and the codes of `Bypass`.
 */
export async function serve(model: Model, options: ServeOptions = {}): Promise<Server> {
  if (!reading("model", () => isModel(model))) throw invalidArgument("model", "a model that loadModel returned", model);
  return startServer(model, options);
}
