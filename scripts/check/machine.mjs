// The description of the machine in the table.
import { spawnSync } from "node:child_process";
import os from "node:os";

export const processor = () => `${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} threads`;

/** The name and driver of a GPU, or the name of the processor. */
export function deviceName(device) {
  if (device === "cpu") return processor();
  const index = Number(device.split(":")[1] ?? 0);
  // nvidia-smi numbers all GPUs, CUDA only the visible ones.
  const visible = process.env.CUDA_VISIBLE_DEVICES?.split(",")[index] ?? String(index);
  const query = ["--query-gpu=name,driver_version", "--format=csv,noheader", "-i", visible];
  const { status, stdout } = spawnSync("nvidia-smi", query, { encoding: "utf8" });
  const [name, driver] = (stdout ?? "").trim().split(/, */);
  return status === 0 && driver ? `${name}, driver ${driver}` : `${device}, which nvidia-smi does not name`;
}
