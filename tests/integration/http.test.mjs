// HTTP (docs/http.md) as any client sees it: the page and its files, the API, refusals.

import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { ask, askJson, converse, dial } from "./raw.mjs";
import { openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const TYPES = [
  [/\.html$/, /^text\/html; charset=utf-8$/],
  [/\.js$/, /^text\/javascript; charset=utf-8$/],
  [/\.css$/, /^text\/css; charset=utf-8$/],
  [/\.svg$/, /^image\/svg\+xml/],
  [/\/LICENSE$/, /^text\/plain; charset=utf-8$/],
];

/** The page's files, as [address, content, pattern of its type], from the list that was compiled in. */
async function assets() {
  const list = await readFile(join(ROOT, "build/page/assets.h"), "utf8");
  const entries = [...list.matchAll(/ASSET\(\d+, "([^"]+)", "[^"]+", "([^"]+)"/g)];
  return Promise.all(entries.map(async ([, address, file]) => {
    const type = TYPES.find(([ending]) => ending.test(file))?.[1];
    assert.ok(type, `this test knows the type of ${file}`);
    // tests/unit/observer/assets_test.c holds it against its source.
    return [address, await readFile(join(ROOT, file)), type];
  }));
}

/** What every answer has, whatever was asked. */
function assertStrict({ headers }) {
  const policy = headers["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers["cross-origin-opener-policy"], "same-origin");
  assert.equal(headers["cross-origin-resource-policy"], "same-origin");
}

test("every file of the page comes with its type, plain and smaller, and is not sent twice", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const all = await assets();
  assert.ok(all.length > 3);
  for (const [path, content, type] of all) {
    const plain = await ask(observer, path);
    assert.equal(plain.status, 200, path);
    assert.match(plain.headers["content-type"], type);
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.headers["cache-control"], "no-cache");
    assert.match(plain.headers.vary, /accept-encoding/i);
    assert.ok(plain.bytes.equals(content), `${path} is what was embedded`);
    assertStrict(plain);

    const zipped = await ask(observer, path, { headers: { "accept-encoding": "br, gzip;q=0.5" } });
    assert.match(zipped.headers["content-type"], type);
    if (zipped.headers["content-encoding"] === "gzip") {
      assert.ok(zipped.bytes.length < content.length, path);
      assert.ok(gunzipSync(zipped.bytes).equals(content), path);
      assert.notEqual(zipped.headers.etag, plain.headers.etag, "two forms, two ETags");
    } else {
      assert.ok(zipped.bytes.equals(content), path);
    }
    const unwanted = await ask(observer, path, { headers: { "accept-encoding": "gzip;q=0, identity" } });
    assert.equal(unwanted.headers["content-encoding"], undefined);

    for (const { headers } of [plain, zipped]) {
      const encoding = headers["content-encoding"] ?? "identity";
      const again = await ask(observer, path, {
        headers: { "if-none-match": `"other", W/${headers.etag}`, "accept-encoding": encoding },
      });
      assert.equal(again.status, 304, path);
      assert.equal(again.bytes.length, 0);
      assert.equal(again.headers.etag, headers.etag);
      assertStrict(again);
    }
    const stale = await ask(observer, path, { headers: { "if-none-match": '"0123"' } });
    assert.equal(stale.status, 200);

    const head = await ask(observer, path, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
    assert.equal(Number(head.headers["content-length"]), content.length);
    assert.equal(head.headers.etag, plain.headers.etag);
  }
  assert.ok(all.some(([path]) => path === "/"));
});

test("the page has nothing inline that its policy would refuse", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const { text } = await ask(observer, "/");
  for (const [, attributes, content] of text.matchAll(/<script([^>]*)>([^]*?)<\/script>/gi)) {
    assert.match(attributes, /\ssrc=/);
    assert.equal(content.trim(), "");
  }
  assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|="?javascript:/i);
  assert.doesNotMatch(text, /(src|href)="?https?:/i, "nothing from elsewhere");
});

test("other addresses are 404, other methods 405, and both say what there is", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const absent = ["/nothing", "/index.htm", "/api", "/api/", "/api/nothing", "/main.js/", "/../etc/passwd", "/%2e%2e/etc/passwd", "/wsx", "//"];
  for (const path of absent) {
    const answer = await ask(observer, path);
    assert.equal(answer.status, 404, path);
    assertStrict(answer);
    assert.ok(answer.text.length > 10);
  }
  const { headers, text } = await ask(observer, "/api/nothing");
  assert.match(headers["content-type"], /^application\/json/);
  assert.match(JSON.parse(text).error, /sources, status, history/);

  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
    for (const path of ["/", "/api/sources", "/nothing"]) {
      const answer = await ask(observer, path, { method, body: method === "POST" ? "x".repeat(1000) : undefined });
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.deepEqual(answer.headers.allow.split(/, */).sort(), ["GET", "HEAD"]);
      assertStrict(answer);
    }
});

test("a connection serves one request after the other", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const socket = dial(t, observer);
  const one = (path) => `GET ${path} HTTP/1.1\r\nHost: ${observer.address}\r\n\r\n`;
  const answers = () => socket.received.match(/HTTP\/1\.1 \d+/g) ?? [];
  socket.write(one("/healthz"));
  await until("the first answer", () => socket.received.includes('"uptime"'));
  socket.write(one("/nothing") + one("/healthz")); // one packet
  await until("all answers", () => answers().length === 3);
  assert.deepEqual(answers(), ["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"]);
});

test("a proxy gets no connection to keep, and a body is not waited for", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  for (const header of ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy"]) {
    const answer = await converse(t, observer, `GET /healthz HTTP/1.1\r\nHost: ${observer.address}\r\n${header}\r\n\r\n`);
    assert.match(answer, /\r\nConnection: close\r\n/i, header);
  }
  for (const method of ["POST", "PUT"]) {
    const socket = dial(t, observer);
    socket.write(`${method} / HTTP/1.1\r\nHost: ${observer.address}\r\nContent-Length: 1000000\r\n\r\n`);
    await until("an answer", () => socket.received.startsWith("HTTP/1.1 405 "));
  }
});

test("the API says what there is, and that there is nothing yet", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const health = await ask(observer, "/healthz");
  assert.equal(health.status, 200);
  assert.match(health.headers["content-type"], /^application\/json/);
  assert.equal(health.headers["cache-control"], "no-store");
  assertStrict(health);
  const { status, version, uptime, sources, clients } = JSON.parse(health.text);
  assert.equal(status, "ok");
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.ok(Number.isInteger(uptime));
  assert.deepEqual([sources, clients], [0, 0]);

  assert.deepEqual(await askJson(observer, "/api/sources"), { sources: [], refused: [] });
  for (const path of ["/api/status", "/api/history"]) {
    const answer = await ask(observer, path);
    assert.equal(answer.status, 404);
    assert.match(JSON.parse(answer.text).error, /no source/i);
  }
  const own = await askJson(observer, "/api/observer");
  assert.equal(own.process, observer.pid);
  assert.ok(own.memory > 0 && own.http_requests > 0);
  const numbers = ["uptime", "cpu", "sources", "clients_ever", "messages_sent", "frames_dropped", "clients_closed", "http_connections"];
  for (const name of numbers) assert.ok(Number.isInteger(own[name]), name);
});

test("/api/sources and /api/status show the sources, by name, with their schemas", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const publisher = await place.startPublisher({ name: "tank" });
  const robot = await place.startRobot({ name: "alpha" });
  const { sources } = await until("both are live", async () => {
    const answer = await askJson(observer, "/api/sources");
    return answer.sources.filter(({ state }) => state === "live").length === 2 && answer;
  });
  assert.deepEqual(sources.map(({ name, process }) => [name, process]), [["alpha", robot.pid], ["tank", publisher.pid]]);
  const [alpha, tank] = sources;
  assert.equal(tank.period, 10_000);
  assert.equal(tank.reason, "");
  assert.match(tank.instance, /^[0-9a-f]{16}$/);
  assert.match(tank.schema.hash, /^[0-9a-f]+$/);
  const fields = Object.fromEntries(tank.schema.fields.map((field) => [field.name, field]));
  assert.equal(fields.counter.type, "u64");
  assert.deepEqual([fields.level.unit, fields.level.minimum, fields.level.maximum], ["l", 0, 100]);
  assert.deepEqual(fields.mode.labels, ["filling", "draining"]);
  assert.equal(fields.counter.maximum, null);
  assert.ok(alpha.schema.fields.some(({ name }) => name === "bot_mode"));

  const first = await askJson(observer, "/api/status");
  assert.equal(first.source, "alpha", "the first by name is the default");
  const status = await askJson(observer, "/api/status?source=tank");
  assert.equal(status.op, "status");
  assert.equal(status.values.counter, status.tick);
  assert.equal(status.values.countdown, String(2n ** 64n - 1n - BigInt(status.tick)));
  assert.equal(status.values.broken, null);
  assert.equal(status.values.motto, "grüezi");
  assert.equal(status.values.spectrum.length, 40);
  const later = await until("it goes on", async () => {
    const now = await askJson(observer, "/api/status?source=tank");
    return now.tick > status.tick && now;
  });
  assert.ok(later.monotonic > status.monotonic);

  const unknown = await ask(observer, "/api/status?source=rbot");
  assert.equal(unknown.status, 404);
  assert.match(JSON.parse(unknown.text).error, /"rbot".*alpha, tank/);
  const markup = await ask(observer, `/api/status?source=${encodeURIComponent('<img src=x>"\u0000\u0001')}`);
  assert.equal(markup.status, 404);
  assert.match(markup.headers["content-type"], /^application\/json/);
  JSON.parse(markup.text);
  const head = await ask(observer, "/api/sources", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.bytes.length, 0);
});

test("a source that has not ticked yet is there, without a status", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  place.start("tests/programs/publisher", ["--name", "mute", "--directory", place.directory, "--ticks", "0"]);
  await until("it is found", async () => (await askJson(observer, "/api/sources")).sources.length === 1);
  const answer = await ask(observer, "/api/status?source=mute");
  assert.equal(answer.status, 503);
  assert.match(JSON.parse(answer.text).error, /"mute"/);
  const [source] = (await askJson(observer, "/api/sources")).sources;
  assert.deepEqual([source.age, source.tick], [null, 0]);
  assert.deepEqual((await askJson(observer, "/api/history?source=mute")).rows, []);
});

/** Lines of a CSV without quoted line ends, as arrays. */
function linesOf(csv) {
  assert.ok(csv.endsWith("\r\n"));
  return csv.slice(0, -2).split("\r\n").map((line) => line.split(","));
}

test("the history is the same as JSON and as CSV, and has every tick", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ name: "tank", args: ["--period", "1000", "--ticks", "1500"] });
  await until("the last tick", async () => (await ask(observer, "/api/status?source=tank")).text.includes('"tick":1500,'));

  const json = await ask(observer, "/api/history?source=tank&seconds=3600");
  assert.equal(json.status, 200);
  assert.match(json.headers["content-type"], /^application\/json/);
  assertStrict(json);
  const history = JSON.parse(json.text);
  assert.equal(history.source, "tank");
  assert.equal(history.lost, 0);
  assert.deepEqual(history.columns.slice(0, 5), ["instance", "tick", "time", "monotonic", "counter"]);
  assert.deepEqual(history.rows.map((row) => row[1]), Array.from({ length: 1500 }, (_, i) => i + 1));
  for (const row of history.rows) assert.equal(row.length, history.columns.length);
  assert.equal(json.text.split("\n").filter((line) => /^\["[0-9a-f]{16}",\d/.test(line)).length, 1500, "a row is a line");
  const level = history.columns.indexOf("level");
  assert.equal(history.rows[41][level], 4.2);
  const [mode, broken] = [history.columns.indexOf("mode"), history.columns.indexOf("broken")];
  assert.equal(history.rows[41][broken], null);

  const csv = await ask(observer, "/api/history?source=tank&seconds=3600&format=csv");
  assert.match(csv.headers["content-type"], /^text\/csv/);
  const [head, ...lines] = linesOf(csv.text);
  assert.deepEqual(head, history.columns);
  assert.equal(lines.length, history.rows.length);
  for (const [i, line] of lines.entries()) {
    assert.deepEqual(line.slice(0, 5), history.rows[i].slice(0, 5).map(String));
    assert.equal(line[level], String(history.rows[i][level]));
    assert.equal(line[mode], ["\"filling\"", "\"draining\""][history.rows[i][mode]], "a label, quoted");
    assert.equal(line[broken], "", "null is an empty cell");
  }

  // The source is silent now: what is asked for in seconds counts back from now.
  const [newest] = history.rows.slice(-1);
  await until("the newest tick is old", async () => {
    const recent = await askJson(observer, "/api/history?source=tank&seconds=0.05");
    return recent.rows.length === 0 && recent.columns.length > 0;
  });
  assert.equal(newest[1], 1500);
  const started = await ask(observer, "/api/history?source=tank&seconds=1e9");
  assert.equal(JSON.parse(started.text).rows.length, 1500, "more seconds than there are");
});

test("a history whose source vanishes meanwhile breaks off, so that nobody takes it for whole", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--history", "16MiB"] });
  const storm = place.start("tests/programs/storm", [place.directory, "storm", "0", "20000"]);
  await until("a long history", async () => (await askJson(observer, "/api/sources")).sources[0]?.ticks > 120_000);
  const read = async (during) => {
    const socket = dial(t, observer);
    socket.pause();
    socket.write(`GET /api/history?seconds=3600 HTTP/1.1\r\nHost: ${observer.address}\r\nConnection: close\r\n\r\n`);
    await until("it is under way", () => socket.readableLength > 0 || socket.bytesRead > 0);
    await during();
    socket.resume();
    await socket.over;
    assert.match(socket.received, /^HTTP\/1\.1 200 /);
    return socket.received;
  };
  await storm.stop("SIGKILL");
  const whole = await read(() => {});
  assert.ok(whole.endsWith("\n]}\n\r\n0\r\n\r\n"), whole.slice(-40));
  const broken = await read(async () => {
    await rm(place.segment("storm"));
    await until("it is gone", async () => (await askJson(observer, "/api/sources")).sources.length === 0);
  });
  assert.ok(broken.length > 0 && broken.length < whole.length, `${broken.length} of ${whole.length} bytes`);
  assert.ok(!broken.endsWith("\r\n0\r\n\r\n"), "no last chunk");
});

test("a parameter that makes no sense is 400 and says so", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ name: "tank" });
  await until("it is found", async () => (await ask(observer, "/api/status?source=tank")).status === 200);
  for (const query of ["seconds=0", "seconds=-1", "seconds=", "seconds=nan", "seconds=inf", "seconds=5x", "seconds=%00", "format=xml", "format="]) {
    const answer = await ask(observer, `/api/history?source=tank&${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(JSON.parse(answer.text).error, new RegExp(query.split("=")[0]));
    assertStrict(answer);
  }
  assert.equal((await ask(observer, "/api/history?source=none")).status, 404);
  assert.equal((await ask(observer, "/api/history?source=")).status, 404);
});

test("what is no HTTP is refused, and nothing else suffers", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--header-timeout", "2", "--idle-timeout", "2"] });
  const host = `Host: ${observer.address}\r\n`;
  const refused = async (text) => {
    const received = await converse(t, observer, text);
    assert.match(received, /^(HTTP\/1\.[01] [45]\d\d |$)/, JSON.stringify(text.slice(0, 60)));
  };
  await Promise.all([
    refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00"),
    refused("SSH-2.0-OpenSSH_9.2\r\n"),
    refused(`GET / HTTP/9.9\r\n${host}\r\n`),
    refused("GET\r\n\r\n"),
    refused(`GET / HTTP/1.1\r\n${host}Content-Length: -5\r\nConnection: close\r\n\r\n`),
    refused(`GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n`),
    refused(`GET /${"a".repeat(100_000)} HTTP/1.1\r\n${host}\r\n`),
    refused(`GET / HTTP/1.1\r\n${host}X-Much: ${"b".repeat(100_000)}\r\n\r\n`),
    refused(`GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(20_000)}\r\n`),
    refused(`POST / HTTP/1.1\r\n${host}Content-Length: 9999999999\r\n\r\n${"c".repeat(200_000)}`),
    refused("\0".repeat(5000)),
  ]);
  const line = await converse(t, observer, `GET /${"a".repeat(20_000)} HTTP/1.1\r\n${host}\r\n`);
  assert.match(line, /^HTTP\/1\.[01] 414 /);
  const headers = await converse(t, observer, `GET / HTTP/1.1\r\n${host}X: ${"b".repeat(20_000)}\r\n\r\n`);
  assert.match(headers, /^HTTP\/1\.[01] 431 /);
  assert.equal((await ask(observer, "/healthz")).status, 200);
});
