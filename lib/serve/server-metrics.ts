import type { Admission } from "./admission.js";
import { Counter, Durations, Gauge, metricsText } from "./metrics.js";

const prefix = "attention_bypass";

/** The metrics of a server. */
export class ServerMetrics {
  readonly requests = new Counter(
    `${prefix}_requests_total`,
    "Answered requests by route and status; 499: the client left.",
  );
  readonly promptTokens = new Counter(`${prefix}_prompt_tokens_total`, "Tokens of prompts.");
  readonly generatedTokens = new Counter(`${prefix}_generated_tokens_total`, "Generated tokens.");
  readonly requestSeconds = new Durations(
    `${prefix}_request_seconds`,
    "Seconds from a request to the end of its answer.",
  );
  readonly firstTokenSeconds = new Durations(
    `${prefix}_first_token_seconds`,
    "Seconds from a request for a completion to its first token.",
  );
  readonly #running: Gauge;
  readonly #waiting: Gauge;

  constructor(admission: Admission) {
    this.#running = new Gauge(`${prefix}_running_choices`, "Choices that are computed.", () => admission.running);
    this.#waiting = new Gauge(`${prefix}_waiting_requests`, "Requests that wait.", () => admission.waiting);
    // So that the metrics exist from the start.
    this.promptTokens.add(0);
    this.generatedTokens.add(0);
  }

  text(): string {
    return metricsText([
      this.requests,
      this.promptTokens,
      this.generatedTokens,
      this.#running,
      this.#waiting,
      this.requestSeconds,
      this.firstTokenSeconds,
    ]);
  }
}
