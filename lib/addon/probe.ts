// Loads libtorch and the addon in a child process for `diagnose`, so that a crash does not end the caller's process.

import { AttentionBypassError } from "../errors/errors.js";
import { loadAddon } from "./addon.js";
import type { NativePlatform } from "./native.js";

/** What the probe prints, as JSON. */
export type ProbeResult =
  | { platform: NativePlatform; cudaRefusal: string | undefined }
  | { failure: { code: string; message: string } };

async function probe(): Promise<ProbeResult> {
  try {
    const { platform, cudaRefusal } = await loadAddon();
    return { platform, cudaRefusal };
  } catch (error) {
    const { message } = error as Error;
    return { failure: { code: error instanceof AttentionBypassError ? error.code : "UNEXPECTED", message } };
  }
}

process.stdout.write(JSON.stringify(await probe()));
