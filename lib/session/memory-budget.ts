import type { Addon } from "../addon/native.js";
import { ask } from "../operation/operation.js";

/** Measured on the CPU: a larger budget is no faster. */
const maxOnCpu = 2 ** 30;

/**
 * Returns the default memory budget of a measurement, in bytes in addition to the weights: on the CPU 1 GiB, or half of
 * the available memory if that is less; on CUDA half of the device's free memory.
 */
export function defaultMemory({ addon, device }: { addon: Addon; device: string }): number {
  if (device !== "cpu") return Math.floor(ask(() => addon.freeMemory(device)) / 2);
  return Math.min(maxOnCpu, Math.floor(process.availableMemory() / 2));
}
