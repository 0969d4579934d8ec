/**
 * Calls on the control socket of `openclaw-octo run` (docs/control.md): one JSON object a line, each way.
 *
 * This file opens that local socket and nothing else.
 */

import { connect } from "node:net";

/** The server ends a call after 120 s; whoever waits longer than this waits for a broken process. */
const CALL_MS = 130_000;
/** The server takes 16 clients, and the bots' own programs want some. */
const AT_ONCE = 8;
/** Longest answer of the server, in characters. */
const MOST_CHARS = 1024 * 1024;

/** A call that was not answered with a result. */
export class CallFailed extends Error {
  /**
   * @param {string} message what to tell the operator
   * @param {string} code `away` where nothing was sent, `lost` where the answer did not come, else the server's code
   */
  constructor(message, code) {
    super(message);
    this.name = "CallFailed";
    this.code = code;
  }
}

/**
 * The process behind one socket.
 */
export class Control {
  #socket;
  #running = 0;
  #waiting = [];

  /** @param {string} socket path of `control.sock`; empty where the plugin was not configured */
  constructor(socket) {
    this.#socket = socket;
  }

  /**
   * Make a call and return its result.
   *
   * @param {string} name the call, such as `operator.send`
   * @param {Record<string, unknown>} params what is undefined or null is left out
   * @param {{ signal?: AbortSignal, timeoutMs?: number }} options `timeoutMs` is how long the answer may take
   * @returns {Promise<any>}
   * @throws {CallFailed}
   */
  async call(name, params = {}, { signal, timeoutMs = CALL_MS } = {}) {
    while (this.#running >= AT_ONCE) await new Promise((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value != null));
      return await this.#asked(JSON.stringify({ v: 1, id: 1, call: name, params: given }), timeoutMs, signal);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** @returns {Promise<any>} the answer to one line on a connection of its own */
  #asked(line, timeoutMs, signal) {
    if (!this.#socket) {
      const where = "plugins.entries.openclaw-octo.config.socket";
      return Promise.reject(new CallFailed(`${where} is not set: run openclaw-octo gateway install --write`, "away"));
    }
    if (signal?.aborted) return Promise.reject(new CallFailed("the call was cancelled before it began", "away"));
    return new Promise((resolve, reject) => {
      let sent = false;
      let answer = "";
      const client = connect(this.#socket);
      const end = (settle, value) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", cancelled);
        client.destroy();
        settle(value);
      };
      const fail = (why) =>
        end(
          reject,
          sent
            ? new CallFailed(`openclaw-octo took the call and did not answer (${why})`, "lost")
            : new CallFailed(`openclaw-octo does not run: nothing answers at ${this.#socket} (${why})`, "away"),
        );
      const cancelled = () => fail("cancelled");
      const timer = setTimeout(() => fail(`nothing for ${timeoutMs} ms`), timeoutMs);
      signal?.addEventListener("abort", cancelled, { once: true });
      client.setEncoding("utf8");
      client.on("error", (error) => fail(error.code ?? error.message));
      client.on("close", () => fail("the connection was closed"));
      client.on("connect", () => {
        sent = true;
        client.write(`${line}\n`);
      });
      client.on("data", (part) => {
        answer += part;
        if (answer.includes("\n")) end(...settled(answer, resolve, reject));
        else if (answer.length > MOST_CHARS) fail("the answer is too long");
      });
    });
  }
}

/** Return how a call ends by its answer, and with what. */
function settled(answer, resolve, reject) {
  let read;
  try {
    read = JSON.parse(answer);
  } catch {
    return [reject, new CallFailed("openclaw-octo answered what is not JSON", "lost")];
  }
  if (read.ok === true) return [resolve, read.result];
  return [reject, new CallFailed(String(read.error?.message ?? "no reason given"), String(read.error?.code ?? "failed"))];
}
