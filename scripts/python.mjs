// The Python with the reference implementation that tests and benchmarks compare with, and with the tools for C++:
// a virtual environment in .cache/, made of test/requirements.txt. Prints its interpreter.
import path from "node:path";
import { existingEnvironment, virtualEnvironment } from "./virtual-environment.mjs";

const root = path.join(import.meta.dirname, "..");
const where = [path.join(root, ".cache", "python"), path.join(root, "test", "requirements.txt")];

/** The interpreter, where it has been made. */
export const existingPython = () => existingEnvironment(...where);

/** The interpreter; made where it is missing. Undefined, with the reason on stderr, where that does not work. */
export const referencePython = () => virtualEnvironment(...where);

if (process.argv[1] === import.meta.filename) {
  const interpreter = referencePython();
  if (interpreter) console.log(interpreter);
  else process.exitCode = 1;
}
