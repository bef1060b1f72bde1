/** The default width, used if the output is no terminal and COLUMNS is not set. */
const standardWidth = 80;
/** The smallest width in which tables and help can be laid out. */
const leastWidth = 40;

/** Returns the number of characters per line of output: COLUMNS if it is set, else the terminal's width, else 80. */
export function outputWidth(): number {
  const asked = Number(process.env.COLUMNS);
  if (Number.isSafeInteger(asked) && asked > 0) return Math.max(leastWidth, asked);
  const { isTTY, columns } = process.stdout;
  return Math.max(leastWidth, (isTTY && columns) || standardWidth);
}
