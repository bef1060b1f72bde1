/** The bytes of an .npy file, version 1.0. */
export function npyBytes(
  descr: string,
  shape: readonly number[],
  data: ArrayBufferView,
  { fortran = false } = {},
): Buffer {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${tuple}), }`;
  const before = 10;
  const padded = `${header.padEnd(64 * Math.ceil((before + header.length + 1) / 64) - before - 1)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    length,
    Buffer.from(padded, "latin1"),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
}
