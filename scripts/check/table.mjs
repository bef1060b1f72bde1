// The Markdown that check-cuda prints.
const cell = (value) => String(value).replaceAll("|", "\\|");

function table(head, rows) {
  const lines = [head, ...rows].map((row) => row.map(cell));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const draw = (line) => `| ${line.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`;
  return [draw(lines[0]), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...lines.slice(1).map(draw)];
}

/** Returns the table as Markdown: the machine, one row for each check, and the speeds. */
export function markdown({ device, facts, record }) {
  const checks = record.rows.map(({ what, dtype, figure, limit, passed }) => {
    return [what, dtype, figure, limit, passed ? "pass" : "FAIL"];
  });
  const lines = [
    `# Checks on ${device}`,
    "",
    ...facts.map(([name, value]) => `- ${name}: ${value}`),
    `- checks: ${record.rows.length - record.failures} passed, ${record.failures} failed`,
    "",
    ...table(["check", "dtype", "value", "limit", "result"], checks),
  ];
  if (record.speeds.length > 0) {
    const head = Object.keys(record.speeds[0]);
    lines.push("", "## Speed", "", ...table(head, record.speeds.map(Object.values)));
  }
  return `${lines.join("\n")}\n`;
}
