import type { Model } from "./model.js";
import type { ServeOptions } from "./serve/options.js";
import { type Server, startServer } from "./serve/server.js";

/**
 * Serves a model over HTTP with OpenAI's API for completions, without a bypass and with several by name. Requests that
 * run at the same time decode as one batch. Requires the optional package fastify. Throws INVALID_ARGUMENT,
 * TOKENIZER_MISSING, PACKAGE_MISSING and the codes of `Bypass`.
 */
export function serve(model: Model, options: ServeOptions = {}): Promise<Server> {
  return startServer(model, options);
}
