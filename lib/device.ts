import * as v from "valibot";
import { AttentionBypassError } from "./errors.js";

/** Where a model runs: on the CPU, on the first CUDA device, on CUDA device N, or where "auto" finds best. */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}`;

export const deviceText = v.pipe(
  v.string(),
  v.regex(/^(auto|cpu|cuda|cuda:\d{1,3})$/, '"auto", "cpu", "cuda" or "cuda:N"'),
);

/** What a model is to run on, and why. */
export interface ChosenDevice {
  /** "cpu" or "cuda:N". */
  device: string;
  /** Such as "asked for". */
  reason: string;
}

/**
 * "auto" takes CUDA where it can be used; any other is taken at its word. `cudaRefusal` says why nothing can run on CUDA.
 * Throws DEVICE_UNAVAILABLE.
 */
export function chooseDevice(asked: string, cudaRefusal: string | undefined): ChosenDevice {
  if (asked === "auto") {
    return cudaRefusal === undefined
      ? { device: "cuda:0", reason: "the first CUDA device" }
      : { device: "cpu", reason: `no CUDA device can be used: ${cudaRefusal}` };
  }
  if (asked === "cpu") return { device: "cpu", reason: "asked for" };
  if (cudaRefusal === undefined) return { device: asked === "cuda" ? "cuda:0" : asked, reason: "asked for" };
  throw new AttentionBypassError("DEVICE_UNAVAILABLE", `expected CUDA for device "${asked}" but ${cudaRefusal}`);
}
