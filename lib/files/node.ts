/** Parts of Node that take milliseconds to load, for who needs them first: importing this package needs none of them. */
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
