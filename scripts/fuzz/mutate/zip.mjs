// Archives whose entries changed inside, each as its kind does, or whose directory lies about them.
import { names, numbers } from "../values.mjs";
import { readZip, writeZip } from "../zip.mjs";
import { mutateBytes } from "./bytes.mjs";
import { mutateJson } from "./json.mjs";
import { mutateNpy } from "./npy.mjs";
import { mutatePickle } from "./pickle.mjs";
import { mutateText } from "./text.mjs";

const kinds = [
  [/\.pkl$/, mutatePickle],
  [/\.npy$/, mutateNpy],
  [/\.json$/, mutateJson],
  [/\.(py|txt)$/, mutateText],
];

const mutateEntry = (entry, random) => {
  const [, mutate] = kinds.find(([pattern]) => pattern.test(entry.name)) ?? [undefined, mutateBytes];
  return { ...entry, data: mutate(entry.data, random) };
};

const unsigned = (random) => Math.abs(Math.trunc(random.pick(numbers))) % 2 ** 32;

const lies = [
  (entries, at) => entries.splice(at, 1),
  (entries, at, random) => entries.push({ ...entries[at], data: random.bytes(random.small(100)) }),
  (entries, at, random) => entries.splice(at, 1, { ...entries[at], name: entries[at].name + random.pick(names) }),
  (entries, at, random) => entries.splice(at, 1, { ...entries[at], name: random.pick(entries).name }),
  (entries, at) => entries.splice(at, 1, { ...entries[at], deflate: true }),
  (entries) => entries.splice(0, entries.length, ...entries.map((entry) => ({ ...entry, deflate: true }))),
  (entries, at, random) =>
    entries.splice(at, 1, { ...entries[at], size: unsigned(random), deflate: random.chance(0.5) }),
  (entries, at, random) => entries.splice(at, 1, { ...entries[at], offset: unsigned(random) }),
  (entries, at) => entries.splice(at, 1, { ...entries[at], crc: 1 }),
  (entries, at, random) =>
    entries.splice(at, 1, { ...entries[at], data: Buffer.alloc(random.pick([0, 2 ** 20, 2 ** 25])), deflate: true }),
  (entries, _, random) => {
    const data = Buffer.alloc(0);
    const count = random.pick([100, 20_000]);
    entries.push(...Array.from({ length: count }, (_, index) => ({ name: `${entries[0].name}${index}`, data })));
  },
];

/** None where an earlier mutation has left no archive. */
function entriesOf(bytes) {
  try {
    return readZip(bytes);
  } catch {
    return [];
  }
}

export function mutateZip(bytes, random) {
  if (random.chance(0.15)) return mutateBytes(bytes, random);
  const entries = entriesOf(bytes);
  if (entries.length === 0) return mutateBytes(bytes, random);
  const described = entries.flatMap(({ name }, index) =>
    kinds.some(([pattern]) => pattern.test(name)) ? [index] : [],
  );
  if (random.chance(0.7)) {
    for (let count = random.small(3); count > 0; count--) {
      // Pickles, headers and code more often than numbers.
      const at = described.length > 0 && random.chance(0.9) ? random.pick(described) : random.below(entries.length);
      entries[at] = mutateEntry(entries[at], random);
    }
  }
  if (random.chance(0.4)) random.pick(lies)(entries, random.below(entries.length), random);
  return writeZip(entries);
}
