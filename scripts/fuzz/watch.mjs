// Runs cases in a child process, and detects what the child cannot report: that it crashed, hangs, uses too much memory or writes
// to a wrong place.
import { fork } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

/** The limits for each file or call: time, blocked event loop, memory. */
export const limits = { seconds: 10, blockedSeconds: 3, megabytes: 3072 };

const childFile = path.join(import.meta.dirname, "child.mjs");

function memoryOf(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

export class Child {
  #process;
  #printed = "";
  #done = 0;

  /** work: the folder of this child; prepared: the folder that prepare.mjs has created. */
  constructor(work, { prepared, environment }) {
    this.work = work;
    this.prepared = prepared;
    this.environment = environment;
  }

  get #places() {
    return ["current", "home", "temporary"].map((name) => path.join(this.work, name));
  }

  async #start() {
    for (const place of this.#places) {
      rmSync(place, { recursive: true, force: true });
      mkdirSync(place, { recursive: true });
    }
    const [cwd, HOME, TMPDIR] = this.#places;
    const env = { ...process.env, ...this.environment, HOME, TMPDIR, FUZZ_PREPARED: this.prepared };
    delete env.NODE_OPTIONS;
    this.#printed = "";
    this.#done = 0;
    this.#process = fork(childFile, [], { cwd, env, execArgv: [], stdio: ["ignore", "pipe", "pipe", "ipc"] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        if (this.#printed.length < 10_000) this.#printed += text;
      });
    }
    await this.#answer(60, Number.POSITIVE_INFINITY);
  }

  /** The child's next message, or the reason why there is none. */
  #answer(seconds, megabytes) {
    const child = this.#process;
    return new Promise((resolve) => {
      let reason;
      const end = (why) => {
        reason = why;
        child.kill("SIGKILL");
      };
      const clock = setTimeout(() => end(`hang: over ${seconds} s`), seconds * 1000);
      const scale = setInterval(() => {
        const memory = memoryOf(child.pid);
        if (memory > megabytes) end(`memory: ${Math.round(memory)} MB`);
      }, 50);
      const settle = (value) => {
        clearTimeout(clock);
        clearInterval(scale);
        child.off("message", settle).off("close", gone);
        resolve(value);
      };
      const gone = (code, signal) => {
        this.#process = undefined;
        settle({ fault: reason ?? `crash: ${signal ?? `exit code ${code}`}: ${this.#printed.trim().slice(-1500)}` });
      };
      child.on("message", settle).on("close", gone);
    });
  }

  /** Runs a case with the files in its folder. own: other files that it may create there. */
  async run(message, own = []) {
    if (this.#process === undefined || this.#done >= 500) {
      await this.close();
      await this.#start();
    }
    if (this.#process === undefined) return { fault: "crash: the child does not start" };
    this.#done++;
    this.#printed = "";
    const before = message.folder ? new Set([...readdirSync(message.folder), ...own]) : undefined;
    this.#process.send(message);
    const answer = await this.#answer(limits.seconds, limits.megabytes);
    const fault = answer.fault ?? this.#faultBesides(answer, message, before);
    // The effects of one case must not count for the next.
    if (fault !== undefined) await this.close();
    return fault === undefined ? answer : { ...answer, fault };
  }

  #faultBesides({ blocked, memory }, { folder }, before) {
    if (memory > limits.megabytes) return `memory: ${Math.round(memory)} MB`;
    if (blocked > limits.blockedSeconds * 1000) return `event loop: stood still for ${Math.round(blocked)} ms`;
    if (this.#printed !== "") return `printed: ${this.#printed.slice(0, 500)}`;
    if (!before) return undefined;
    const left = [folder, ...this.#places].flatMap((place) =>
      readdirSync(place)
        .filter((name) => place !== folder || !before.has(name))
        .map((name) => path.join(path.basename(place), name)),
    );
    return left.length > 0 ? `left files: ${left.join(", ").slice(0, 300)}` : undefined;
  }

  async close() {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
}
