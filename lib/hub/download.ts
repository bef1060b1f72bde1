import type { DownloadOptions } from "./options.js";

export type { DownloadOptions, HubOptions } from "./options.js";

/** Downloads a model of the hub to the Hugging Face cache and returns its snapshot's folder. */
export function download(id: string, _options: DownloadOptions = {}): Promise<string> {
  throw new Error(`not implemented: ${id}`);
}
