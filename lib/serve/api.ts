import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { Admission } from "./admission.js";
import { type AnswerForm, answerHead, events, UsageCounter } from "./answer.js";
import { ApiError } from "./api-error.js";
import { ChatForm } from "./chat-completions.js";
import { parseChat } from "./chat-request.js";
import { type ChoicePart, Choices } from "./choices.js";
import { type GenerationRequest, parseCompletion } from "./completion-request.js";
import { CompletionForm } from "./completions.js";
import type { ModelNames } from "./model-names.js";
import type { Limits } from "./options.js";
import { encodePrompts, type Prompt } from "./prompts.js";
import { ActiveRequests } from "./request-work.js";
import type { ServedModel } from "./served-model.js";
import { ServerMetrics } from "./server-metrics.js";
import { TokenTexts } from "./token-texts.js";

/** The route of a request as metrics name it: that of the server, so that clients cannot add names. */
const routeOf = ({ routeOptions }: FastifyRequest) => routeOptions.url ?? "unknown";

/** Returns a stream of a generator whose first value is already computed. */
function streamFrom(first: string, rest: AsyncGenerator<string, void, void>): Readable {
  let begun = false;
  const next = () => {
    if (begun) return rest.next();
    begun = true;
    return Promise.resolve({ done: false as const, value: first });
  };
  // Not a generator: one that was never started would not end `rest`.
  return Readable.from({ [Symbol.asyncIterator]: () => ({ next, return: () => rest.return() }) });
}

/** The routes of a server. */
export class Api {
  readonly active = new ActiveRequests();
  readonly #admission: Admission;
  readonly #metrics: ServerMetrics;
  readonly #tokenTexts: TokenTexts;
  #draining = false;

  constructor(
    private readonly model: ServedModel & { tokenizer: Tokenizer },
    private readonly names: ModelNames,
    private readonly limits: Limits,
    private readonly checkKey: (header: string | undefined) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    this.#admission = new Admission(limits);
    this.#metrics = new ServerMetrics(this.#admission);
    this.#tokenTexts = new TokenTexts(model.tokenizer);
  }

  /** Refuses new requests with 503 from now on. */
  startDraining(): void {
    this.#draining = true;
  }

  addTo(app: FastifyInstance): void {
    app.addHook("onRequest", async (request, reply) => this.#observe(request, reply));
    app.get("/health", (_, reply) => this.#health(reply));
    app.register(async (routes) => {
      routes.addHook("onRequest", async ({ headers }) => this.checkKey(headers.authorization));
      routes.get("/metrics", (_, reply) => reply.type("text/plain; version=0.0.4").send(this.#metrics.text()));
      routes.get("/v1/models", () => ({ object: "list", data: this.names.list() }));
      routes.get<{ Params: { "*": string } }>("/v1/models/*", ({ params }) => this.names.get(params["*"]));
      routes.post("/v1/completions", (request, reply) => {
        const parsed = parseCompletion(request.body, this.names, this.limits);
        const form = new CompletionForm(parsed, this.model.tokenizer, this.#tokenTexts);
        return this.#generate(request, reply, parsed, form);
      });
      routes.post("/v1/chat/completions", async (request, reply) => {
        const parsed = await parseChat(request.body, this.names, this.limits, this.model);
        return this.#generate(request, reply, parsed, new ChatForm(parsed, this.model.tokenizer, this.#tokenTexts));
      });
    });
  }

  #observe(request: FastifyRequest, reply: FastifyReply): void {
    const began = performance.now();
    reply.raw.once("close", () => {
      const status = reply.raw.writableFinished ? reply.statusCode : 499;
      this.#metrics.requests.add(1, { route: routeOf(request), status });
      this.#metrics.requestSeconds.add((performance.now() - began) / 1000);
    });
    if (!this.#draining || ["/health", "/metrics"].includes(routeOf(request))) return;
    reply.header("connection", "close");
    throw new ApiError(503, "the server shuts down", { code: "shutting_down", retryAfter: 5 });
  }

  #health(reply: FastifyReply): FastifyReply {
    const { running, waiting } = this.#admission;
    const status = this.#draining ? "draining" : "ok";
    return reply.code(this.#draining ? 503 : 200).send({ status, running, waiting });
  }

  async #generate(
    { raw }: FastifyRequest,
    reply: FastifyReply,
    request: GenerationRequest,
    form: AnswerForm,
  ): Promise<object> {
    const { signal } = this.active.begin(raw, reply.raw, this.limits.seconds);
    const { limits, model } = this;
    const prompts = await encodePrompts(request.prompts, model, { limits, maxTokens: request.maxTokens, signal });
    const counter = new UsageCounter(prompts.reduce((sum, { row }) => sum + row.length, 0));
    const parts = counter.count(this.#parts(request, prompts, signal));
    const head = answerHead(request.model, form.idPrefix);
    if (!request.stream) return { ...head, ...(await form.answer(parts)), usage: counter.usage };
    const usage = request.stream.includeUsage ? counter : undefined;
    const stream = events(parts, form, head, { usage, onError: this.onError });
    // The first event is computed before the status is sent.
    const first = await stream.next();
    reply.header("content-type", "text/event-stream; charset=utf-8").header("cache-control", "no-cache");
    // Proxies such as nginx would hold events back.
    reply.header("x-accel-buffering", "no");
    return reply.send(streamFrom(first.value as string, stream));
  }

  /** Yields the parts of a request's choices once it may run, and counts them. */
  async *#parts(
    request: GenerationRequest,
    prompts: readonly Prompt[],
    signal: AbortSignal,
  ): AsyncGenerator<ChoicePart, void, void> {
    const began = performance.now();
    const leave = await this.#admission.enter(prompts.length * request.n, signal);
    let generated = 0;
    try {
      this.#metrics.promptTokens.add(prompts.reduce((sum, { row }) => sum + row.length, 0));
      for await (const part of new Choices(this.model, request, signal).parts(prompts)) {
        if (part.generated && generated++ === 0) {
          this.#metrics.firstTokenSeconds.add((performance.now() - began) / 1000);
        }
        yield part;
      }
    } finally {
      this.#metrics.generatedTokens.add(generated);
      leave();
    }
  }
}
