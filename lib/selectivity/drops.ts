import type { MemorizationMetric } from "../metrics/memorization.js";
import { Bootstrap, combine, difference, type Resampled, toInterval } from "../statistics/bootstrap.js";
import type { SweepResult, SweepScores } from "../sweep/result.js";
import { endsAtZero, metricColumn, type Rows } from "./metrics.js";
import type { MetricSelectivity } from "./result.js";

/** The drop of a metric on memorized rows and on control rows, and their difference. */
export interface Drop {
  memorized: Resampled;
  control: Resampled;
  selectivity: Resampled;
}

/** The means of metrics and their drops, over the same resamples of the rows for all bypasses of a sweep. */
export class Drops {
  readonly #bootstrap = new Bootstrap();
  readonly #base = new Map<string, Resampled>();

  constructor(private readonly sweep: SweepResult) {}

  /** Returns the mean of a metric of the unmodified model. */
  base(metric: MemorizationMetric, rows: Rows): Resampled {
    const key = `${metric} ${rows}`;
    const mean = this.#base.get(key) ?? this.mean(this.sweep.base, metric, rows);
    this.#base.set(key, mean);
    return mean;
  }

  /** Returns the mean of a metric. Memorized and control rows are resampled independently. */
  mean(scores: SweepScores, metric: MemorizationMetric, rows: Rows): Resampled {
    return this.#bootstrap.mean(metricColumn(scores, rows, metric, this.sweep), rows === "memorized" ? 0 : 1);
  }

  /** Returns the drop of a metric, as a mean over bypasses. */
  of(bypassed: readonly SweepScores[], metric: MemorizationMetric): Drop {
    const average = (...values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const drop = (rows: Rows) =>
      difference(
        this.base(metric, rows),
        combine(average, ...bypassed.map((scores) => this.mean(scores, metric, rows))),
      );
    const [memorized, control] = [drop("memorized"), drop("control")];
    return { memorized, control, selectivity: difference(memorized, control) };
  }

  /** Returns a drop with its intervals. */
  toSelectivity({ memorized, control, selectivity }: Drop, metric: MemorizationMetric): MetricSelectivity {
    return {
      memorized: toInterval(memorized),
      control: toInterval(control),
      selectivity: toInterval(selectivity),
      controlLimited: endsAtZero(metric) && this.base(metric, "control").value < memorized.value,
    };
  }
}
