import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { embeddedModel, loadModel, type Model, type ServeOptions, type Server, serve } from "attention-bypass";
import type { Test } from "tap";
import { finish, type Result, start } from "./command-line.ts";
import type { Anything } from "./refusals.ts";

/** The embedded model under the name tiny, also with its first quarter bypassed. */
export interface Served {
  model: Model;
  server: Server;
  url: string;
}

export async function startServing(t: Test, options: ServeOptions = {}): Promise<Served> {
  const model = await loadModel(embeddedModel(), { device: "cpu", threads: 1 });
  const bypasses = { q1: { blocks: { quartile: 1 } } } as const;
  const server = await serve(model, { port: 0, name: "tiny", bypasses, ...options });
  t.teardown(async () => {
    await server.close();
    await model.dispose();
  });
  return { model, server, url: server.url };
}

/** The command as a process, once it listens. */
export interface ServingCommand {
  child: ChildProcessWithoutNullStreams;
  url: string;
  models: string[];
  /** What it has printed at its end. */
  result: Promise<Result>;
}

/** Starts `attention-bypass serve` with the embedded model on a free port. */
export async function startCommand(t: Test, ...args: string[]): Promise<ServingCommand> {
  const child = start(["serve", embeddedModel(), "--threads", "1", "--port", "0", "--json", ...args]);
  t.teardown(() => child.kill("SIGKILL"));
  const result = finish(child);
  const listening = await new Promise<{ url: string; models: string[] }>((resolve) => {
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
      if (said.endsWith("}\n")) resolve(JSON.parse(said));
    });
  });
  return { child, result, ...listening };
}

export interface Answer {
  status: number;
  headers: Headers;
  body: Anything;
}

/** Posts a body, as JSON unless it is text already. */
export async function post(url: string, body: unknown, more: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...more,
    headers: { "content-type": "application/json", ...(more.headers as Record<string, string>) },
  });
  const { status, headers } = response;
  const text = await response.text();
  return {
    status,
    headers,
    body: headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text,
  };
}

/** The data of server-sent events, of which the last must be [DONE]. */
export function eventsOf(text: string): Anything[] {
  const data = text.trimEnd().split("\n\n");
  if (data.at(-1) !== "data: [DONE]") throw new Error(`the stream ends with ${data.at(-1)}`);
  return data.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, "")));
}

/** The value of a metric, with its labels as Prometheus writes them. */
export async function metric(url: string, name: string, headers: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers })).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

/** Waits until a condition holds, at most ten seconds. */
export async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let turn = 0; turn < 200; turn++) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
