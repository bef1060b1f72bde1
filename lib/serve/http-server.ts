import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply } from "fastify";
import { optionalPackage } from "../errors/optional-package.js";
import { ApiError, toApiError } from "./api-error.js";
import type { Limits } from "./options.js";

/** The most bytes of a request's headers. */
const headerBytes = 16 * 1024;
const maxConnections = 2048;
/** The time that a connection without a request stays open, in milliseconds. Longer than that of common proxies. */
const keepAliveTimeout = 72_000;

/** Answers a connection whose bytes are not an HTTP request, or come too slowly. */
function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const statuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };
  const status = statuses[error.code ?? ""] ?? 400;
  const reason = STATUS_CODES[status] as string;
  const body = JSON.stringify(new ApiError(status, reason.toLowerCase()).body);
  const head = `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`, () => socket.destroySoon());
}

/** Converts an error of a route or of Fastify. */
function toAnswer(error: FastifyError, limits: Limits): ApiError {
  const { statusCode = 500, code } = error;
  if (statusCode < 400 || statusCode > 499 || error instanceof ApiError) return toApiError(error);
  if (statusCode === 413) return new ApiError(413, `expected a body of at most ${limits.bodyBytes} bytes`);
  if (statusCode === 415) return new ApiError(415, "expected a body with the content-type application/json");
  const invalid = code === undefined || code === "FST_ERR_CTP_INVALID_JSON_BODY";
  const expected = "expected valid JSON as the body, without the names __proto__ and constructor.prototype";
  return new ApiError(statusCode, invalid ? expected : error.message);
}

/** Creates the HTTP server, whose errors are in OpenAI's form. Throws PACKAGE_MISSING. */
export async function createHttpServer(limits: Limits, onError: (error: unknown) => void): Promise<FastifyInstance> {
  const { fastify } = await optionalPackage("fastify", "serve a model", () => import("fastify"));
  const receive = limits.receiveSeconds * 1000;
  const app = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: receive,
    keepAliveTimeout,
    http: { maxHeaderSize: headerBytes, headersTimeout: receive, connectionsCheckingInterval: Math.min(5000, receive) },
    forceCloseConnections: true,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = toAnswer(error, limits);
      void (reply as unknown as FastifyReply).code(status).send(body);
    },
  });
  app.server.maxConnections = maxConnections;
  app.removeContentTypeParser("text/plain");
  app.setNotFoundHandler(({ method, url }) => {
    throw new ApiError(404, `expected a route of this server but received ${method} ${url.slice(0, 200)}`, {
      code: "unknown_url",
    });
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const answer = toAnswer(error, limits);
    if (answer.status >= 500 && !(error instanceof ApiError)) onError(error);
    const { retryAfter } = answer.details;
    if (retryAfter !== undefined) reply.header("retry-after", retryAfter);
    if (answer.status === 401) reply.header("www-authenticate", "Bearer");
    return reply.code(answer.status).send(answer.body);
  });
  return app;
}
