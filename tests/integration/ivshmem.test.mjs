// The observer as a shared-memory server, without a virtual machine: what it says when it cannot start, what a client of
// the protocol is sent, and that rude clients cost nothing. (Node cannot take the descriptors that come along;
// tests/unit/observer/ivshmem_test.c does, and tests/vm/ has QEMU itself.)

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { test } from "node:test";

import { askJson } from "./raw.mjs";
import { openPlace, until } from "./support.mjs";

const MEMORY = -1n;

async function serve(t, ...more) {
  const place = await openPlace(t);
  const socket = `${place.directory}/sock`;
  const observer = await place.startObserver({ args: ["--ivshmem", socket, ...more] });
  return { place, socket, observer };
}

/** A client; `numbers` are what it was sent. */
async function dial(t, socket) {
  const connection = createConnection(socket);
  const client = { connection, numbers: [], closed: new Promise((done) => connection.once("close", done)) };
  t.after(() => connection.destroy());
  connection.on("error", () => {});
  connection.on("data", (bytes) => {
    for (let at = 0; at < bytes.length; at += 8) client.numbers.push(bytes.readBigInt64LE(at));
  });
  await once(connection, "connect");
  return client;
}

const hears = (client, ...numbers) => until(`a client is sent ${numbers}`, () => client.numbers.join() === numbers.join());

test("clients are greeted, and told of each other", async (t) => {
  const { place, socket, observer } = await serve(t);
  const modes = await Promise.all((await readdir(place.directory)).filter((name) => /sock/.test(name))
    .map(async (name) => (await stat(`${place.directory}/${name}`)).mode & 0o777));
  assert.deepEqual(modes, [0o600, 0o600]);

  const first = await dial(t, socket);
  await hears(first, 0n, 1n, MEMORY, 0n, 1n);
  const second = await dial(t, socket);
  await hears(second, 0n, 2n, MEMORY, 0n, 1n, 2n);
  await hears(first, 0n, 1n, MEMORY, 0n, 1n, 2n);
  second.connection.destroy();
  await hears(first, 0n, 1n, MEMORY, 0n, 1n, 2n, 2n);

  await observer.stop();
  await first.closed;
  assert.deepEqual((await readdir(place.directory)).filter((name) => /sock/.test(name)).map((name) => name.slice(0, 13)), ["omni-ivshmem."]);
});

test("rude clients cost nothing, and good ones do not notice", async (t) => {
  const { socket, observer } = await serve(t);
  const good = await dial(t, socket);
  await hears(good, 0n, 1n, MEMORY, 0n, 1n);
  const files = async () => (await readdir(`/proc/${observer.pid}/fd`)).length;
  const before = await files();

  const talker = await dial(t, socket);
  talker.connection.write("GET / HTTP/1.1\r\n\r\n");
  await talker.closed;
  for (let i = 0; i < 1000; i += 20) {
    const crowd = await Promise.all(Array.from({ length: 20 }, () => dial(t, socket)));
    for (const { connection } of crowd) connection.destroy();
  }
  await until("all places are free again", async () => (await files()) === before);
  assert.ok(Array.isArray((await askJson(observer, "/api/sources")).sources));
  assert.equal(good.connection.destroyed, false);
  const last = await dial(t, socket);
  await until("the next one is greeted", () => last.numbers.length === 6);
});

test("what cannot be is refused with a sentence, and exit status 2", async (t) => {
  const { place, socket } = await serve(t);
  const file = `${place.directory}/file`;
  await writeFile(file, "");
  const cases = [
    [["--ivshmem", `${place.directory}/s`, "--ivshmem-size", "3MiB"], /^--ivshmem-size 3145728 is no power of two of at least 4096; the nearest are 2097152 and 4194304$/],
    [["--ivshmem", socket], /^another server answers at .*sock; choose another: --ivshmem SOCKET$/],
    [["--ivshmem", file], /^.*file is in the way, and no socket; choose another: --ivshmem SOCKET$/],
    [["--ivshmem", `${place.directory}/none/s`], /^there is no folder for the socket .*: make it \(mkdir -p\)$/],
    [["--ivshmem", `/${"x".repeat(120)}`], /is not a path of 1 to 107 bytes/],
    [Array.from({ length: 9 }, (_, i) => ["--ivshmem", `${place.directory}/s${i}`]).flat(), /^--ivshmem is given 9 times; up to 8 servers fit into one observer$/],
  ];
  for (const [args, sentence] of cases) {
    const refused = place.start("omni-observer", ["--listen", "127.0.0.1:0", "--directory", place.directory, ...args]);
    assert.deepEqual(await refused.ended, { code: 2, signal: null }, refused.stderr);
    assert.match(refused.stderr.trimEnd(), sentence);
  }
});
