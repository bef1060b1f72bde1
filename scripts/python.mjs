// Creates the Python environment with the reference implementation for tests and benchmarks, and with the tools for C++: a
// virtual environment in .cache/ with test/requirements.txt. Prints the path of its interpreter.
import path from "node:path";
import { existingEnvironment, virtualEnvironment } from "./virtual-environment.mjs";

const root = path.join(import.meta.dirname, "..");
const where = [path.join(root, ".cache", "python"), path.join(root, "test", "requirements.txt")];

/** The interpreter; undefined if the environment does not exist. */
export const existingPython = () => existingEnvironment(...where);

/** The interpreter of the environment, which is created if it does not exist. Undefined, with the reason on stderr, if that fails. */
export const referencePython = () => virtualEnvironment(...where);

if (process.argv[1] === import.meta.filename) {
  const interpreter = referencePython();
  if (interpreter) console.log(interpreter);
  else process.exitCode = 1;
}
