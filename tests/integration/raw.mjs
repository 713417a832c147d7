// What the tests need beside support.mjs: requests with any header, sockets that say anything, and
// what the kernel counts of a process.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { connect as connectTcp } from "node:net";
import { promisify } from "node:util";

/** Runs a command of the system to its end; rejects where it fails. */
export const run = promisify(execFile);

/**
 * One request on a connection of its own, or of the `agent`'s. `observer.tls`: what TLS needs to know, where its
 * `url` is https.
 * @returns {Promise<{status: number, headers: object, bytes: Buffer, text: string}>}
 */
export function ask(observer, path, { method = "GET", headers = {}, body, agent = false } = {}) {
  const { protocol, hostname, port } = new URL(observer.url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const start = protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = start({ host, port, path, method, headers, agent, ...observer.tls }, (response) => {
      const pieces = [];
      response.on("data", (bytes) => pieces.push(bytes));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(pieces);
        resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The answer's JSON; fails where it is not 200. */
export async function askJson(observer, path, options) {
  const { status, text } = await ask(observer, path, options);
  assert.equal(status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

/** A connection that says what it is told to: has `received` (text) and `over` (a promise). */
export function dial(t, observer) {
  const { hostname, port } = new URL(observer.url);
  const socket = connectTcp(Number(port), hostname.replace(/^\[|\]$/g, ""));
  t.after(() => socket.destroy());
  socket.received = "";
  socket.setEncoding("latin1");
  socket.on("data", (text) => (socket.received += text));
  socket.on("error", () => {}); // "close" follows
  socket.over = new Promise((resolve) => socket.on("close", resolve));
  return socket;
}

/** Sends bytes and returns what came until the other side closed. */
export async function converse(t, observer, text) {
  const socket = dial(t, observer);
  socket.write(text, "latin1");
  await socket.over;
  return socket.received;
}

/** What a process used of the processors, in milliseconds. */
export async function processorTime(pid) {
  const line = await readFile(`/proc/${pid}/stat`, "utf8");
  const words = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return (Number(words[11]) + Number(words[12])) * 10; // user and system, in ticks of 10 ms
}

/** How many descriptors a process holds. */
export async function descriptors(pid) {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
