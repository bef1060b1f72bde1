// Bytes that changed, went away, came or moved.
import { numbers } from "../values.mjs";

const changes = {
  flip(bytes, random) {
    const copy = Buffer.from(bytes);
    for (let count = random.small(16); count > 0; count--) copy[random.below(copy.length)] ^= 1 << random.below(8);
    return copy;
  },
  overwrite(bytes, random) {
    const copy = Buffer.from(bytes);
    random.bytes(random.small(64)).copy(copy, random.below(copy.length));
    return copy;
  },
  cut: (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  remove(bytes, random) {
    const begin = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, begin), bytes.subarray(begin + random.small(bytes.length))]);
  },
  repeat(bytes, random) {
    const begin = random.below(bytes.length);
    const end = begin + random.small(bytes.length);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(begin, end), bytes.subarray(end)]);
  },
  insert(bytes, random) {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), random.bytes(random.small(64)), bytes.subarray(at)]);
  },
  number(bytes, random) {
    const copy = Buffer.from(bytes);
    const value = BigInt(Math.trunc(random.pick(numbers)));
    const field = Buffer.alloc(8);
    field.writeBigInt64LE(BigInt.asIntN(64, value));
    field.subarray(0, random.pick([1, 2, 4, 8])).copy(copy, random.below(copy.length));
    return copy;
  },
  append: (bytes, random) => Buffer.concat([bytes, random.chance(0.5) ? bytes : random.bytes(random.small(4096))]),
};

const kinds = Object.values(changes);

export function mutateBytes(bytes, random) {
  if (bytes.length === 0) return random.bytes(random.small(64));
  return random.pick(kinds)(bytes, random);
}
