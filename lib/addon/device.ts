import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";

/** Where a model runs: on the CPU, on the first CUDA device, on CUDA device N, or where "auto" finds best. */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}`;

export const deviceText = v.pipe(
  v.string(),
  v.regex(/^(auto|cpu|cuda|cuda:(0|[1-9]\d{0,5}))$/, '"auto", "cpu", "cuda" or "cuda:N"'),
);

/** What a model is to run on, and why. */
export interface ChosenDevice {
  /** "cpu" or "cuda:N". */
  device: string;
  /** Such as "asked for". */
  reason: string;
}

/** The CUDA devices that can be used, and why there are none. */
export interface Cuda {
  cudaDevices: number;
  cudaRefusal: string | undefined;
}

/** "auto" takes CUDA where it can be used; any other is taken at its word. Throws DEVICE_UNAVAILABLE. */
export function chooseDevice(asked: string, { cudaDevices, cudaRefusal }: Cuda): ChosenDevice {
  if (asked === "auto") {
    return cudaRefusal === undefined
      ? { device: "cuda:0", reason: "the first CUDA device" }
      : { device: "cpu", reason: `no CUDA device can be used: ${cudaRefusal}` };
  }
  if (asked === "cpu") return { device: "cpu", reason: "asked for" };
  if (cudaRefusal !== undefined) {
    throw new AttentionBypassError("DEVICE_UNAVAILABLE", `expected CUDA for device "${asked}" but ${cudaRefusal}`);
  }
  const device = asked === "cuda" ? "cuda:0" : asked;
  // Here and not in libtorch, which counts devices in eight bits and takes a larger number for another one.
  if (Number(device.slice("cuda:".length)) < cudaDevices) return { device, reason: "asked for" };
  throw new AttentionBypassError(
    "DEVICE_UNAVAILABLE",
    `expected device "${asked}" to be one of ${cudaDevices} CUDA devices, numbered from 0`,
  );
}
