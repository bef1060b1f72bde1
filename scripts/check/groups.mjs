// The groups of checks, each run in a process of its own: after a device-side assertion, or a crash, nothing else works in
// that process.
import { fork } from "node:child_process";
import { setTimeout as after } from "node:timers";

/** The names of the groups, in the order in which they run. */
export const groupNames = ["parity", "consistency", "speed"];

/** Runs a group in a child process, which is killed at `deadline`, in milliseconds of performance.now(). */
export async function runGroup(name, { device, quick, deadline, record }) {
  const left = deadline - performance.now();
  const failed = (figure) =>
    record.check(`${name}: the rest of the group`, "any", async () => ({ figure, limit: "completed", passed: false }));
  if (left <= 0) return failed("not begun within the time limit");
  const child = fork(new URL("./group.mjs", import.meta.url), [name, device, String(quick)], {
    stdio: ["ignore", 2, 2, "ipc"],
  });
  let late = false;
  // Timers do not take longer delays.
  const timer = after(
    () => {
      late = true;
      child.kill("SIGKILL");
    },
    Math.min(left, 2 ** 31 - 1),
  );
  child.on("message", ({ row, speed }) => (row ? record.add(row) : record.speed(speed)));
  const ending = await new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) =>
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  clearTimeout(timer);
  if (late) return failed("not completed within the time limit");
  if (ending !== undefined) await failed(ending);
}
