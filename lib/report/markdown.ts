import type { Report } from "./report.js";
import type { ReportTable } from "./report-table.js";
import { settingsText } from "./settings-text.js";

const cellText = (text: string) => text.replaceAll("|", "\\|");

function tableText({ title, head, rows }: ReportTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellText).join(" | ")} |`;
  const rule = `|${head.map((_, column) => (column === 0 ? " --- " : " --: ")).join("|")}|`;
  return [`## ${title}`, "", line(head), rule, ...rows.map(line)].join("\n");
}

/** Returns a report as Markdown. `images` maps the names of the figures to show to their files. */
export function toMarkdown(report: Report, images: ReadonlyMap<string, string> = new Map()): string {
  const figures = report.figures.flatMap(({ name, title, caption }) => {
    const image = images.get(name);
    return image === undefined ? [] : [`## ${title}`, `![${title}](<${image}>)`, caption];
  });
  const settings = ["```json", settingsText(report), "```"].join("\n");
  return `${[
    `# ${report.title}`,
    report.description,
    ...report.findings,
    ...figures,
    ...report.tables.map(tableText),
    "## Settings",
    settings,
  ].join("\n\n")}\n`;
}
