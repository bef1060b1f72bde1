/** The upper bounds of the durations' buckets, in seconds. */
const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** Values of one metric in Prometheus's text format. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  lines(): string[];
}

type Labels = Readonly<Record<string, string | number>>;

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(String(value))}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** A number that only grows, by labels. The values of labels must be few. */
export class Counter implements Metric {
  readonly type = "counter";
  readonly #values = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(amount = 1, labels: Labels = {}): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  lines(): string[] {
    return [...this.#values].map(([labels, value]) => `${this.name}${labels} ${value}`);
  }
}

/** A number that is read when it is asked for. */
export class Gauge implements Metric {
  readonly type = "gauge";

  constructor(
    readonly name: string,
    readonly help: string,
    private readonly read: () => number,
  ) {}

  lines(): string[] {
    return [`${this.name} ${this.read()}`];
  }
}

/** Durations, counted in buckets. */
export class Durations implements Metric {
  readonly type = "histogram";
  readonly #counts = new Array<number>(buckets.length).fill(0);
  #count = 0;
  #sum = 0;

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(seconds: number): void {
    this.#count++;
    this.#sum += seconds;
    for (const [index, bound] of buckets.entries()) {
      if (seconds <= bound) this.#counts[index] = (this.#counts[index] as number) + 1;
    }
  }

  lines(): string[] {
    const bounds = buckets.map((bound, index) => `${this.name}_bucket{le="${bound}"} ${this.#counts[index]}`);
    return [
      ...bounds,
      `${this.name}_bucket{le="+Inf"} ${this.#count}`,
      `${this.name}_sum ${this.#sum}`,
      `${this.name}_count ${this.#count}`,
    ];
  }
}

/** Writes metrics in Prometheus's text format, version 0.0.4. */
export function metricsText(metrics: readonly Metric[]): string {
  const textOf = (metric: Metric) => {
    const { name, help, type } = metric;
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...metric.lines()].map((line) => `${line}\n`).join("");
  };
  return metrics.map(textOf).join("");
}
