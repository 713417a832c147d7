// Behind nginx, with TLS, as docs/http.md says: the page, the API, WebSockets, the token, and who is refused.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:https";
import { connect as connectTcp, createServer } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";

import { NAME, put, startProxy } from "./proxy.mjs";
import { ask, askJson } from "./raw.mjs";
import { connect, openPlace, refusal, until } from "./support.mjs";

const options = { timeout: 120_000 };

/** Counts connections on their way to the observer, which it says nothing about itself. */
async function startCounter(t, observer) {
  const { hostname, port } = new URL(observer.url);
  const counter = { connections: 0, open: new Set() };
  const server = createServer((socket) => {
    const onward = connectTcp(Number(port), hostname);
    counter.connections++;
    for (const [from, to] of [[socket, onward], [onward, socket]]) {
      counter.open.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => counter.open.delete(from));
      from.pipe(to);
    }
  }).listen(0, "127.0.0.1");
  t.after(() => {
    server.close();
    for (const socket of counter.open) socket.destroy();
  });
  await once(server, "listening");
  counter.address = `127.0.0.1:${server.address().port}`;
  return counter;
}

/** An observer for that name with a robot, and nginx before it. */
async function openHouse(t, change) {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--allow-host", NAME] });
  const robot = await place.startPublisher();
  await until("the source", async () => (await askJson(observer, "/api/sources", { headers: bearer(observer) })).sources.length);
  const counter = await startCounter(t, observer);
  const proxy = await startProxy(place, counter.address, change);
  return { place, observer, robot, proxy, counter };
}

const bearer = ({ token }) => ({ authorization: `Bearer ${token}` });

/** A connection to the proxy that is kept from one request to the next. */
function keepOne(t) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return agent;
}

test("behind nginx: the link, the cookie, the page and live values", options, async (t) => {
  const { observer, proxy } = await openHouse(t);
  for (const host of [NAME, `${NAME}:${proxy.port}`, proxy.address]) {
    const origin = `https://${host}`;
    const welcome = await ask(proxy, `/?token=${observer.token}`, { headers: { host } });
    assert.deepEqual([welcome.status, welcome.headers.location], [303, "/"], "whatever the name is");
    const [cookie, ...flags] = welcome.headers["set-cookie"][0].split("; ");
    assert.ok(flags.includes("Secure"), "it came by TLS and never goes without");
    assert.equal(cookie.split("=")[1], observer.token);
    const headers = { host, cookie };
    const page = await ask(proxy, "/", { headers: { ...headers, "accept-encoding": "gzip" } });
    assert.equal(page.status, 200);
    assert.equal(page.headers["content-encoding"], "gzip");
    assert.match(page.headers["content-security-policy"], /default-src 'none'/);
    const same = await ask(proxy, "/", { headers: { ...headers, "if-none-match": page.headers.etag, "accept-encoding": "gzip" } });
    assert.equal(same.status, 304);
    assert.match((await ask(proxy, "/main.js", { headers })).text, /WebSocket/);
    assert.equal((await askJson(proxy, "/api/sources", { headers: { ...headers, origin } })).sources[0].name, "robot");
    const client = await connect(t, proxy, { headers, origin });
    const first = await client.wait(({ op }) => op === "status");
    await client.wait(({ op, tick }) => op === "status" && tick > first.tick);
    client.send({ op: "subscribe", source: "robot", mode: "every" });
    const { rows } = await client.wait(({ op }) => op === "batch");
    assert.equal(rows[0][3], rows[0][0], "the counter is the tick");
    await client.settle();
  }
});

test("behind nginx: a wrong name, another site's page and no token are refused", options, async (t) => {
  const { observer, proxy } = await openHouse(t);
  const host = `${NAME}:${proxy.port}`;
  const token = bearer(observer);
  const refused = [
    [401, { host }, undefined],
    [401, { host, authorization: `Bearer ${observer.token}x` }, `https://${host}`],
    [421, { host: "evil.example", ...token }, undefined],
    [421, { host: `evil.example:${proxy.port}`, ...token }, `https://evil.example:${proxy.port}`],
    [403, { host, ...token }, "https://evil.example"],
    [403, { host, ...token }, `https://${NAME}:1`],
    [403, { host, ...token }, "null"],
  ];
  for (const [status, headers, origin] of refused) {
    const what = JSON.stringify({ ...headers, origin });
    const answer = await ask(proxy, "/api/status", { headers: { ...headers, ...(origin && { origin }) } });
    assert.equal(answer.status, status, what);
    assert.equal((await refusal(t, proxy, { headers, origin })).status, status, what);
  }
  assert.equal((await ask(proxy, "/healthz", { headers: { host } })).status, 200, "health is for everyone");
  assert.equal((await ask(proxy, "/ws", { headers: { host, ...token } })).status, 426);
});

test("one connection to nginx serves plain requests and then a WebSocket", options, async (t) => {
  const { observer, proxy, counter } = await openHouse(t);
  const [host, port] = proxy.address.split(":");
  const socket = connectTls({ host, port: Number(port), ...proxy.tls });
  t.after(() => socket.destroy());
  let received = "";
  socket.setEncoding("latin1").on("data", (text) => (received += text));
  await once(socket, "secureConnect");
  const say = (path, more = "") =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${NAME}\r\nAuthorization: Bearer ${observer.token}\r\n${more}\r\n`);
  const before = counter.connections;
  for (let i = 1; i <= 3; i++) {
    say("/healthz");
    await until(`answer ${i}`, () => received.split('"status":"ok"').length === i + 1);
  }
  say("/ws", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  await until("the upgrade", () => received.includes("HTTP/1.1 101 ") && received.includes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  await until("a status", () => received.includes('{"op":"status"'));
  assert.equal(counter.connections - before, 4, "each request came to the observer on a connection of its own");
});

// What nginx does with an `upstream` block; newer ones do so without being told.
const keeping = (text) =>
  `upstream observer {\n    server 127.0.0.1:8080;\n    keepalive 8;\n}\n${put(text, "http://127.0.0.1:8080", "http://observer")}`;

test("a proxy that keeps its connections has none to keep", options, async (t) => {
  const { observer, proxy, counter } = await openHouse(t, keeping);
  const headers = { host: NAME, ...bearer(observer) };
  const agent = keepOne(t);
  const before = counter.connections;
  for (let i = 0; i < 10; i++) {
    for (const path of ["/", "/api/sources", "/nothing"]) await ask(proxy, path, { headers, agent });
    const client = await connect(t, proxy, { headers, origin: `https://${NAME}` });
    await client.wait(({ op }) => op === "status");
  }
  assert.equal(counter.connections - before, 40);
});

test("a proxy that hides itself keeps connections, on which there is no WebSocket", options, async (t) => {
  const hidden = (text) => keeping(put(text, "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", ""));
  const { observer, proxy, counter } = await openHouse(t, hidden);
  const headers = { host: NAME, ...bearer(observer) };
  const before = counter.connections;
  for (let i = 0; i < 10; i++) assert.equal((await ask(proxy, "/api/sources", { headers })).status, 200);
  assert.ok(counter.connections - before < 10, "they are kept");
  const { status, text } = await refusal(t, proxy, { headers });
  assert.equal(status, 426);
  assert.match(text, /on a new connection/);
});

test("an observer that comes back is there behind nginx too", options, async (t) => {
  const { place, observer, proxy } = await openHouse(t);
  const headers = { host: NAME, ...bearer(observer) };
  const client = await connect(t, proxy, { headers });
  await client.wait(({ op }) => op === "status");
  await observer.stop("SIGKILL");
  await client.closed;
  assert.equal((await ask(proxy, "/healthz")).status, 502);
  await place.startObserver({ args: ["--allow-host", NAME], listen: observer.address });
  assert.equal((await ask(proxy, "/healthz")).status, 200);
  const again = await connect(t, proxy, { headers });
  await again.wait(({ op }) => op === "status");
});
