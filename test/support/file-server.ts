import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";

/** How a server gives a file. */
export interface Manner {
  /** Whether it goes on where it is asked to. Defaults to true. */
  ranges?: boolean;
  /** Breaks the connection after so many bytes. */
  cutAfter?: number;
  /** How many requests are answered by an error first, and by which. */
  errors?: number;
  status?: number;
  /** Bytes a second. */
  pace?: number;
}

export interface FileServer {
  url: string;
  requests: number;
  /** Bytes given, over all requests. */
  given: number;
}

async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Serves one file under any path. */
export async function serve(t: Test, content: Buffer, name: string, manner: Manner = {}): Promise<FileServer> {
  const { ranges = true, cutAfter = Number.POSITIVE_INFINITY, errors = 0, status = 503, pace } = manner;
  const served: FileServer = { url: "", requests: 0, given: 0 };
  const server = createServer(async (request, response) => {
    served.requests++;
    if (served.requests <= errors) return void response.writeHead(status).end();
    const from = ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    if (from >= content.length) return void response.writeHead(416).end();
    const rest = content.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": rest.length,
      ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    const piece = 65_536;
    const closed = once(response, "close");
    for (let at = 0; at < rest.length && !response.destroyed; at += piece) {
      if (at >= cutAfter) return void response.destroy();
      const chunk = rest.subarray(at, at + piece);
      served.given += chunk.length;
      if (!response.write(chunk)) await Promise.race([once(response, "drain"), closed]);
      if (pace !== undefined) await sleep((1000 * chunk.length) / pace);
    }
    response.end();
  });
  served.url = `http://127.0.0.1:${await listen(t, server)}/${encodeURIComponent(name)}`;
  return served;
}

/** A proxy that tunnels, and counts. */
export async function proxy(t: Test): Promise<{ url: string; tunnels: number }> {
  const counted = { url: "", tunnels: 0 };
  const server = createServer((_, response) => response.writeHead(400).end());
  server.on("connect", (request, client, head) => {
    counted.tunnels++;
    const [host, port] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      upstream.pipe(client);
      client.pipe(upstream);
    });
    for (const end of [upstream, client]) end.on("error", () => [upstream, client].map((one) => one.destroy()));
  });
  counted.url = `http://127.0.0.1:${await listen(t, server)}`;
  return counted;
}
