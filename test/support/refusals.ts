import { AttentionBypassError, type ErrorCode, errorCodes, type Model } from "attention-bypass";
import type { Test } from "tap";

/** Tests of parts take the class from its source, where it is another one than in the package. */
const isRefusal = (error: unknown): error is AttentionBypassError =>
  error instanceof Error && error.name === AttentionBypassError.prototype.constructor.name;

/** Asserts that work is refused with this code, in one line that says all of these things. */
export async function refuses(
  t: Test,
  name: string,
  work: () => Promise<unknown>,
  code: ErrorCode,
  ...said: string[]
): Promise<void> {
  const error: unknown = await work().then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (!isRefusal(error)) {
    t.fail(`${name}: expected ${code}`, { received: String(error) });
    return;
  }
  t.equal(error.code, code, `${name}: ${error.message}`);
  t.ok((errorCodes as readonly string[]).includes(error.code), `${name}: the code is in the list`);
  t.match(error.message, /^[^\n]{10,1000}$/, `${name}: one line`);
  // What a schema says of itself is no sentence of ours.
  t.notMatch(error.message, /expected Invalid|undefined is not|Cannot read/, `${name}: a sentence`);
  for (const part of said) t.ok(error.message.includes(part), `${name}: says ${part}`, { message: error.message });
}

/** Makes what asserts as `refuses` does, and that a model then works as before. */
export async function refusedBy(model: Model): Promise<typeof refuses> {
  const good = await model.logits([1, 2, 3]);
  return async (t, name, work, code, ...said) => {
    await refuses(t, name, work, code, ...said);
    t.same(await model.logits([1, 2, 3]), good, `${name}: the model works on`);
  };
}

/** What a caller without types may pass. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
export type Anything = any;

export async function all(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** As a message shows a value, where that is plain. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "" : typeof value === "function" ? "a function" : String(value);
}
