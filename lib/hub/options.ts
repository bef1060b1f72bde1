import * as v from "valibot";
import { longCall, pathText } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";

/** Where and how a model is looked up on the Hugging Face hub. */
export interface HubOptions {
  /** A branch, tag or commit of the model on the hub, such as Pythia's "step3000". Defaults to "main". */
  revision?: string | undefined;
  /**
   * The folder of the Hugging Face cache. Defaults to `HF_HUB_CACHE`, else `HF_HOME`/hub, else
   * `XDG_CACHE_HOME`/huggingface/hub, else ~/.cache/huggingface/hub.
   */
  cacheFolder?: string | undefined;
  /** The URL of the hub. Defaults to `HF_ENDPOINT`, else https://huggingface.co. */
  endpoint?: string | undefined;
  /**
   * An access token of the hub, for private and gated models. It is sent to the endpoint only. Defaults to `HF_TOKEN`,
   * else the content of the file `HF_TOKEN_PATH`, else of `HF_HOME`/token.
   */
  token?: string | undefined;
}

/** Options of `download`. */
export interface DownloadOptions extends HubOptions, OperationOptions {
  /**
   * Called with the number of bytes that are present and the number of bytes of all files that are needed. Bytes of an
   * earlier, interrupted download count as present.
   */
  onBytes?: ((done: number, total: number) => void) | undefined;
}

const filled = (message: string) =>
  v.pipe(
    v.string(),
    v.check((value: string) => value !== "", message),
  );

/** The schema of `HubOptions`, as entries of an object. */
export const hubEntries = {
  revision: v.optional(filled("a branch, tag or commit")),
  cacheFolder: v.optional(pathText),
  endpoint: v.optional(
    v.pipe(
      v.string(),
      v.check((value: string) => /^https?:\/\//.test(value) && URL.canParse(value), "an http(s) URL"),
    ),
  ),
  token: v.optional(
    v.pipe(
      v.string(),
      v.check((value: string) => /^[\x21-\x7e]+$/.test(value), "a token without spaces"),
    ),
  ),
};

export const downloadSchema = v.strictObject({
  ...longCall,
  ...hubEntries,
  onBytes: v.optional(v.function() as v.GenericSchema<(done: number, total: number) => void>),
});
