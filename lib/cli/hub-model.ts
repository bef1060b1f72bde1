import { findModel, isOnHub } from "../hub/model-reference.js";
import type { JsonOption } from "./output.js";
import { withProgress } from "./progress.js";

export interface RevisionOption {
  revision?: string;
}

export const revisionFlag = "--revision <name>";

export const revisionHelp = "branch, tag or commit of a model on the Hugging Face hub (default: main)";

export const hubEnvironment = `
Environment:
  HF_HUB_CACHE             folder of the Hugging Face cache
                           (default: HF_HOME/hub, ~/.cache/huggingface/hub)
  HF_TOKEN, HF_TOKEN_PATH  access token for gated and private models, or its
                           file (default: HF_HOME/token)
  HF_ENDPOINT              URL of the hub (default: https://huggingface.co)
  HF_HUB_OFFLINE           1: use only the cache, send no request
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
                           proxies
  NODE_EXTRA_CA_CERTS      additional certificates`;

/** Returns the path of a model. A model on the hub is downloaded first, with its own progress bar. */
export async function modelPath(
  reference: string,
  { revision, ...output }: RevisionOption & JsonOption,
  signal: AbortSignal,
): Promise<string> {
  const options = { revision, signal };
  if (!(await isOnHub(reference))) return (await findModel(reference, options)).path;
  const found = await withProgress("Downloading", output, (onProgress) =>
    findModel(reference, { ...options, onProgress }),
  );
  return found.path;
}
