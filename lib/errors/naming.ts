import { AttentionBypassError } from "./errors.js";

/** Puts what the work is about, such as "revision step1000", before the message of its error. */
export async function naming<Value>(what: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof AttentionBypassError)) throw error;
    throw new AttentionBypassError(error.code, `${what}: ${error.message}`, { cause: error });
  }
}
