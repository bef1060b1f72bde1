import path from "node:path";
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import { validate } from "../errors/validation.js";

/** The most shards, more than any checkpoint has. Each one is opened. */
const mostShards = 1000;

const indexFields = v.looseObject({ weight_map: v.looseObject({}) });

/** Returns the file names of the shards that the text of an index names. Throws WEIGHTS_INVALID. */
export function shardNames(text: string, file: string): string[] {
  const invalid = (reason: string) =>
    new AttentionBypassError("WEIGHTS_INVALID", `expected an index of shards in ${file} but ${reason}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(`parsing its JSON failed: ${quoted((error as Error).message, longestMessage)}`);
  }
  const names = new Set(Object.values(validate(indexFields, json, file, "WEIGHTS_INVALID").weight_map));
  if (names.size > mostShards) throw invalid(`it names ${names.size} files, and at most ${mostShards} are read`);
  return Array.from(names, (name) => {
    if (typeof name === "string" && name === path.basename(name) && !name.includes("\0")) return name;
    const named = typeof name === "string" ? quoted(name) : "a value that is not text";
    throw invalid(`it names ${named} as a shard, which must be a file in the same folder`);
  });
}
