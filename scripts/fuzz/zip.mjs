// Reads zip archives without compression as lists of entries, and writes zip archives, optionally with wrong metadata.
import { crc32, deflateRawSync } from "node:zlib";

const endOfCentral = 0x06054b50;
const central = 0x02014b50;

/** Returns the entries of an archive without compression: { name, data }. */
export function readZip(bytes) {
  let at = bytes.length - 22;
  while (bytes.readUInt32LE(at) !== endOfCentral) at--;
  const count = bytes.readUInt16LE(at + 10);
  let place = bytes.readUInt32LE(at + 16);
  return Array.from({ length: count }, () => {
    if (bytes.readUInt32LE(place) !== central) throw new Error("expected an entry of a zip archive");
    const [size, nameLength, extraLength, commentLength] = [24, 28, 30, 32].map((field, index) =>
      index === 0 ? bytes.readUInt32LE(place + field) : bytes.readUInt16LE(place + field),
    );
    const offset = bytes.readUInt32LE(place + 42);
    const name = bytes.subarray(place + 46, place + 46 + nameLength).toString("utf8");
    place += 46 + nameLength + extraLength + commentLength;
    const begin = offset + 30 + bytes.readUInt16LE(offset + 26) + bytes.readUInt16LE(offset + 28);
    return { name, data: bytes.subarray(begin, begin + size) };
  });
}

/**
 * Writes entries. An entry may have `deflate`, and a `crc`, `size` and `offset` that replace the correct values. As in PyTorch, the
 * data of each entry begins at a multiple of 64 bytes.
 */
export function writeZip(entries) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, data, deflate = false, crc = crc32(data), size = data.length, offset } of entries) {
    const stored = deflate ? deflateRawSync(data) : data;
    const bytes = Buffer.from(name);
    const padding = (64 - ((at + 30 + bytes.length + 4) % 64)) % 64;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(deflate ? 8 : 0, 8);
    local.writeUInt32LE(crc >>> 0, 14);
    local.writeUInt32LE(deflate ? stored.length : size, 18);
    local.writeUInt32LE(size, 22);
    local.writeUInt16LE(bytes.length, 26);
    local.writeUInt16LE(padding + 4, 28);
    const extra = Buffer.alloc(padding + 4);
    extra.write("FB");
    extra.writeUInt16LE(padding, 2);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(central);
    local.copy(entry, 6, 4, 30);
    entry.writeUInt16LE(0, 30);
    entry.writeUInt32LE(offset ?? at, 42);
    directory.push(entry, bytes);
    parts.push(local, bytes, extra, stored);
    at += 30 + bytes.length + extra.length + stored.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(endOfCentral);
  end.writeUInt16LE(entries.length & 0xffff, 8);
  end.writeUInt16LE(entries.length & 0xffff, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, list, end]);
}
