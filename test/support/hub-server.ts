// A local server that behaves like the Hugging Face hub.

/** A model of the server: the folder of each branch or tag. */
export interface ServedModel {
  revisions: Record<string, string>;
  /** Whether a token with access is required. */
  gated?: boolean;
}

export interface HubOptions {
  models: Record<string, ServedModel>;
}

/** A request that the server received. */
export interface HubRequest {
  method: string;
  /** The path with the query. */
  url: string;
  authorization: string | undefined;
  /** Whether the host for LFS files received it. */
  storage: boolean;
}

export interface Hub {
  endpoint: string;
  requests: HubRequest[];
  close(): Promise<void>;
}

export function startHub(_options: HubOptions): Promise<Hub> {
  throw new Error("not implemented");
}
