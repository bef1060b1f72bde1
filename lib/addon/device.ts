import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";

/**
 * The device that a model runs on: "cpu", "cuda" (the first CUDA device), "cuda:N" (CUDA device N), or "auto" (the
 * first CUDA device if CUDA can be used, otherwise the CPU).
 */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}`;

export const deviceText = v.pipe(
  v.string(),
  v.regex(/^(auto|cpu|cuda|cuda:(0|[1-9]\d{0,5}))$/, '"auto", "cpu", "cuda" or "cuda:N"'),
);

/** The device that a model will run on, and why. */
export interface ChosenDevice {
  /** "cpu" or "cuda:N". */
  device: string;
  /** Why this device, such as "requested". */
  reason: string;
}

/** The number of CUDA devices that can be used, and the reason if there are none. */
export interface Cuda {
  cudaDevices: number;
  cudaRefusal: string | undefined;
}

/**
 * Returns the device for a requested one. "auto" is the first CUDA device if CUDA can be used, otherwise the CPU; any
 * other device must be available. Throws DEVICE_UNAVAILABLE.
 */
export function chooseDevice(asked: string, { cudaDevices, cudaRefusal }: Cuda): ChosenDevice {
  if (asked === "auto") {
    return cudaRefusal === undefined
      ? { device: "cuda:0", reason: "the first CUDA device" }
      : { device: "cpu", reason: `no CUDA device can be used: ${cudaRefusal}` };
  }
  if (asked === "cpu") return { device: "cpu", reason: "requested" };
  if (cudaRefusal !== undefined) {
    throw new AttentionBypassError("DEVICE_UNAVAILABLE", `expected CUDA for device "${asked}" but ${cudaRefusal}`);
  }
  const device = asked === "cuda" ? "cuda:0" : asked;
  // Checked here because libtorch stores device numbers in eight bits, so that a larger number means another device.
  if (Number(device.slice("cuda:".length)) < cudaDevices) return { device, reason: "requested" };
  throw new AttentionBypassError(
    "DEVICE_UNAVAILABLE",
    `expected a CUDA device from "cuda:0" to "cuda:${cudaDevices - 1}" but received "${asked}"`,
  );
}
