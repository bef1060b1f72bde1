// Records the result of each check, so that a failure does not lose the results of other checks.

const oneLine = (error) => (error instanceof Error ? error.message : String(error)).split("\n", 1)[0];

export class Record {
  rows = [];
  speeds = [];
  #log;
  #onResult;

  /** onResult: called with each result, as { row } or { speed }. */
  constructor(log, onResult = () => {}) {
    this.#log = log;
    this.#onResult = onResult;
  }

  /** Adds the result of a check that ran in another process. */
  add(row) {
    this.rows.push(row);
    this.#onResult({ row });
  }

  /** Runs one check, which returns its measured value, its limit, and whether it passed. */
  async check(what, dtype, work) {
    let outcome;
    try {
      outcome = await work();
    } catch (error) {
      outcome = { figure: oneLine(error), limit: "no error", passed: false };
    }
    const row = { what, dtype, ...outcome };
    this.add(row);
    this.#log(`${row.passed ? "pass" : "FAIL"}  ${what}, ${dtype}: ${row.figure} (limit: ${row.limit})`);
  }

  /** Runs checks that share something, such as a model. If it cannot be created, one failure is recorded for all of them. */
  async group(what, dtype, work) {
    try {
      await work();
    } catch (error) {
      await this.check(what, dtype, () => Promise.reject(error));
    }
  }

  speed(row) {
    this.speeds.push(row);
    this.#onResult({ speed: row });
    this.#log(`speed ${Object.values(row).join(", ")}`);
  }

  get failures() {
    return this.rows.filter(({ passed }) => !passed).length;
  }
}

export const scientific = (value) => (value === 0 ? "0" : value.toExponential(1));
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** The result for a value that must not exceed a limit. NaN fails. */
export const within = (value, limit) => ({
  figure: scientific(value),
  limit: scientific(limit),
  passed: value <= limit,
});

/** The result for a number of differences that must not exceed a limit. */
export const differing = (count, of, what, most = 0) => ({
  figure: `${count} of ${of} ${what} differ`,
  limit: String(most),
  passed: count <= most,
});
