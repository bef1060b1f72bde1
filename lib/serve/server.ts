import type { AddressInfo } from "node:net";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { validate } from "../errors/validation.js";
import { Api } from "./api.js";
import { environmentKey, keyCheck, requireKey } from "./api-key.js";
import { createHttpServer } from "./http-server.js";
import { ModelNames } from "./model-names.js";
import { limitsOf, type ServeOptions, serveSchema } from "./options.js";
import type { ServedModel } from "./served-model.js";

/** A running server. */
export interface Server {
  /** The address of the server, such as "http://127.0.0.1:8080". OpenAI's API is at `url` + "/v1". */
  readonly url: string;
  /**
   * Refuses new requests with 503, waits for running ones, at most `drainSeconds`, and stops listening. The model is not
   * disposed.
   */
  close(): Promise<void>;
  /** Calls `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a server. */
export async function startServer(model: ServedModel, options: ServeOptions): Promise<Server> {
  const checked = validate(serveSchema, options, "options");
  const { name = model.config.family, bypasses, host, port, drainSeconds, onError = () => {} } = checked;
  const apiKey = checked.apiKey ?? environmentKey();
  requireKey(host, apiKey);
  const { tokenizer } = model;
  if (tokenizer === undefined) {
    throw new AttentionBypassError(
      "TOKENIZER_MISSING",
      "expected a model with a tokenizer to serve but it has none; pass one to loadModel",
    );
  }
  const names = new ModelNames(name, bypasses, model.config);
  const limits = limitsOf(checked.limits, model.config);
  const app = await createHttpServer(limits, onError);
  const checkKey = apiKey === undefined ? () => {} : keyCheck(apiKey);
  const api = new Api(model as ServedModel & { tokenizer: typeof tokenizer }, names, limits, checkKey, onError);
  api.addTo(app);
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    const reason = systemCode(error) ?? (error as Error).message;
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected an address to listen on for options.host and options.port but listening on ${host}, port ${port}, ` +
        `failed with ${reason}`,
      { cause: error },
    );
  }
  const { address, family, port: chosen } = app.server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= (async () => {
      api.startDraining();
      await api.active.drain(drainSeconds);
      await app.close();
    })();
    return closed;
  };
  const url = `http://${family === "IPv6" ? `[${address}]` : address}:${chosen}`;
  return { url, close, [Symbol.asyncDispose]: close };
}
