// safetensors whose header changed, with the length that fits it or not.
import { numbers } from "../values.mjs";
import { mutateBytes } from "./bytes.mjs";
import { mutateJson } from "./json.mjs";

export function mutateSafetensors(bytes, random) {
  if (random.chance(0.25)) return mutateBytes(bytes, random);
  const end = bytes.length < 8 ? Number.POSITIVE_INFINITY : 8 + Number(bytes.readBigUInt64LE());
  if (end > bytes.length) return mutateBytes(bytes, random);
  const header = mutateJson(bytes.subarray(8, end), random);
  const length = Buffer.alloc(8);
  const stated = random.chance(0.05) ? BigInt(Math.trunc(random.pick(numbers))) : BigInt(header.length);
  length.writeBigUInt64LE(BigInt.asUintN(64, stated));
  return Buffer.concat([length, header, bytes.subarray(end)]);
}
