// npy whose header changed, padded again to what the format asks for.
import { numbers } from "../values.mjs";
import { mutateBytes } from "./bytes.mjs";

const dtypes = [
  "<i4",
  ">i4",
  "<i8",
  "<u2",
  "|b1",
  "|O",
  "<f4",
  "<f8",
  "<c16",
  "|S4",
  "<U8",
  "<i16",
  "[('a', '<i4')]",
  "",
];

function mutateHeader(header, random) {
  const ways = [
    () => header.replace(/'descr': '[^']*'/, `'descr': '${random.pick(dtypes)}'`),
    () =>
      header.replace(
        /\([^)]*\)/,
        `(${Array.from({ length: random.small(40) - 1 }, () => random.pick(numbers)).join(", ")},)`,
      ),
    () => header.replace(/\d+/, String(random.pick(numbers))),
    () => header.replace("False", random.pick(["True", "false", "0", "None"])),
    () => header.replace(/'shape': [^)]*\),/, ""),
    () => `${header.slice(0, 1)}'a': ${"(".repeat(random.small(50_000))},${header.slice(1)}`,
    () => mutateBytes(Buffer.from(header, "latin1"), random).toString("latin1"),
  ];
  return random.pick(ways)();
}

export function mutateNpy(bytes, random) {
  if (random.chance(0.25) || bytes.length < 64) return mutateBytes(bytes, random);
  const end = 10 + bytes.readUInt16LE(8);
  const header = mutateHeader(bytes.subarray(10, end).toString("latin1").trimEnd(), random);
  const wide = header.length > 60_000 || random.chance(0.1);
  const before = wide ? 12 : 10;
  const padded = `${header.padEnd(64 * Math.ceil((before + header.length + 1) / 64) - before - 1)}\n`;
  const length = Buffer.alloc(wide ? 4 : 2);
  if (wide) length.writeUInt32LE(padded.length);
  else length.writeUInt16LE(padded.length);
  return Buffer.concat([
    Buffer.from(
      `\x93NUMPY${String.fromCharCode(wide ? random.pick([2, 3]) : random.pick([1, 1, 1, 4]))}\x00`,
      "latin1",
    ),
    length,
    Buffer.from(padded, "latin1"),
    bytes.subarray(end),
  ]);
}
