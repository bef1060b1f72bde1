/** The width where neither a terminal nor COLUMNS says one, as in a pipe or a log. */
const standardWidth = 80;
/** Tables and help cannot be laid out in less. */
const leastWidth = 40;

/** The number of characters in a line of output: COLUMNS if it is set, else the terminal's width, else 80. */
export function outputWidth(): number {
  const asked = Number(process.env.COLUMNS);
  if (Number.isSafeInteger(asked) && asked > 0) return Math.max(leastWidth, asked);
  const { isTTY, columns } = process.stdout;
  return Math.max(leastWidth, (isTTY && columns) || standardWidth);
}
