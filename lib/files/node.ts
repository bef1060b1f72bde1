/**
 * Modules of Node that take milliseconds to load. They are loaded on first use, so that importing the package is fast.
 */
export const node = {
  get crypto() {
    return process.getBuiltinModule("node:crypto");
  },
  get vm() {
    return process.getBuiltinModule("node:vm");
  },
  get workerThreads() {
    return process.getBuiltinModule("node:worker_threads");
  },
  get childProcess() {
    return process.getBuiltinModule("node:child_process");
  },
};
