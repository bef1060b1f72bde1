import { node } from "../files/node.js";

/** The milliseconds that work with a tokenizer's own patterns or template may block the thread. */
const longestHold = 1000;

/** Runs work with a time limit. The limit also interrupts regular expressions. */
export function withinTime<Value>(work: () => Value): Value {
  const { vm } = node;
  const context = vm.createContext({ work });
  return vm.runInContext("work()", context, { timeout: longestHold }) as Value;
}
