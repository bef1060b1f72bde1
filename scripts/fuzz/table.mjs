// The outcomes of a run as a table.
import Table from "cli-table3";

const most = (counts) =>
  [...counts]
    .sort((one, other) => other[1] - one[1])
    .slice(0, 4)
    .map(([code, count]) => `${code} ${count}`)
    .join(", ");

export class Tally {
  #formats = new Map();
  /** Failures grouped by their common part. */
  failures = new Map();

  add(format, { outcome, code, fault }, place) {
    const row = this.#formats.get(format) ?? { files: 0, loaded: 0, refused: 0, failures: 0, codes: new Map() };
    this.#formats.set(format, row);
    row.files++;
    if (fault !== undefined) {
      row.failures++;
      const kind = fault
        .split("\n", 1)[0]
        .replace(/\/\S+/g, "PATH")
        .replace(/-?\d[\d.e+-]*/g, "N")
        .slice(0, 160);
      const known = this.failures.get(`${format}: ${kind}`) ?? { count: 0, fault, place };
      known.count++;
      this.failures.set(`${format}: ${kind}`, known);
    } else if (outcome === "loaded") row.loaded++;
    else {
      row.refused++;
      row.codes.set(code, (row.codes.get(code) ?? 0) + 1);
    }
  }

  get total() {
    return [...this.#formats.values()].reduce((sum, { files }) => sum + files, 0);
  }

  text() {
    const table = new Table({
      head: ["what", "count", "refused by code", "accepted", "failures", "most codes"],
      style: { head: [], border: [] },
    });
    const rows = [...this.#formats].map(([format, row]) => [
      format,
      row.files,
      row.refused,
      row.loaded,
      row.failures,
      most(row.codes),
    ]);
    const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
    table.push(...rows, ["all", sum(1), sum(2), sum(3), sum(4), ""]);
    const failed = [...this.failures].map(
      ([kind, { count, fault, place }]) =>
        `${count} x ${kind}\n    ${fault.slice(0, 600).replaceAll("\n", "\n    ")}\n    first: ${place}`,
    );
    return [table.toString(), ...failed].join("\n");
  }
}
