import { ask } from "../operation/operation.js";
import type { Session } from "./session.js";

/** More than this makes work on the CPU no faster. */
const mostOnCpu = 2 ** 30;

/**
 * Bytes that a measurement takes beside the weights where nobody says: on the CPU a GiB, or half of what is available
 * where that is less; on CUDA half of what is free on the device.
 */
export function defaultMemory({ addon, device }: Session): number {
  if (device !== "cpu") return Math.floor(ask(() => addon.freeMemory(device)) / 2);
  return Math.min(mostOnCpu, Math.floor(process.availableMemory() / 2));
}
