// The child process that runs the package on mutated input. Receives one case in each message, and answers with its outcome.
import { AttentionBypassError, errorCodes } from "attention-bypass";
import { callOnce } from "./calls.mjs";
import { watchGlobals } from "./fingerprint.mjs";
import { uses } from "./uses.mjs";

const stray = [];
process.on("unhandledRejection", (reason) => stray.push(`unhandled rejection: ${reason?.stack ?? String(reason)}`));
process.on("uncaughtException", (error) => stray.push(`uncaught exception: ${error?.stack ?? String(error)}`));
process.on("warning", ({ name, message }) => {
  if (!/Experimental|Deprecation/.test(name)) stray.push(`warning: ${name}: ${message}`);
});

/** The path of the first number that is not finite; undefined if all are finite. */
export function notFinite(result) {
  const open = [["result", result]];
  const seen = new Set();
  while (open.length > 0) {
    const [name, value] = open.pop();
    if (typeof value === "number" && !Number.isFinite(value)) return `${name} is ${value}`;
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    if (ArrayBuffer.isView(value)) {
      const at =
        value instanceof Float32Array || value instanceof Float64Array
          ? value.findIndex((one) => !Number.isFinite(one))
          : -1;
      if (at >= 0) return `${name}[${at}] is ${value[at]}`;
    } else for (const key of Object.keys(value)) open.push([`${name}.${key}`, value[key]]);
  }
  return undefined;
}

/** Describes the fault of an error that the package threw; undefined if the error is correct. */
function faultOf(error) {
  if (!(error instanceof AttentionBypassError)) return `untyped error: ${error?.stack ?? String(error)}`;
  if (!errorCodes.includes(error.code)) return `unknown code ${error.code}: ${error.message}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(error.message))
    return `control characters in a message: ${JSON.stringify(error.message.slice(0, 300))}`;
  if (error.message.length > 4000)
    return `a message of ${error.message.length} characters: ${error.message.slice(0, 200)}`;
  if (
    /undefined is not|Cannot read|is not a function|is not iterable|Maximum call stack|Invalid array length/.test(
      error.message,
    )
  )
    return `a message that says nothing: ${error.message.slice(0, 300)}`;
  return undefined;
}

/** The longest time for which the event loop was blocked, in milliseconds. */
function watchLoop() {
  let last = performance.now();
  let longest = 0;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 10);
  return () => {
    look();
    clearInterval(timer);
    return longest;
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function attempt(message) {
  if (message.use.kind === "call") return callOnce(message);
  const result = await uses[message.use.kind](message.folder, message.use);
  const problem = notFinite(result);
  return problem === undefined ? { outcome: "loaded" } : { outcome: "loaded", fault: `not finite: ${problem}` };
}

const changed = watchGlobals();

process.on("message", async (message) => {
  const blocked = watchLoop();
  let answer;
  try {
    answer = await attempt(message);
  } catch (error) {
    const fault = faultOf(error);
    answer = {
      outcome: "refused",
      code: error?.code,
      message: String(error?.message).slice(0, 500),
      ...(fault && { fault }),
    };
  }
  // Unhandled rejections are reported one turn of the event loop later.
  await turn();
  await turn();
  const global = changed();
  const fault = global ?? stray.splice(0)[0] ?? answer.fault;
  const { maxRSS } = process.resourceUsage();
  process.send({
    ...answer,
    ...(fault && { fault }),
    changed: global !== undefined,
    blocked: blocked(),
    memory: maxRSS / 1024,
  });
});
process.send({ ready: true });
