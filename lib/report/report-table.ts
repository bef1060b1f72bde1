/** A table of a report. The first column contains names. */
export interface ReportTable {
  /** The title, shown above the table. */
  title: string;
  /** The names of the columns. */
  head: string[];
  /** The cells of each row, as formatted text. */
  rows: string[][];
}
