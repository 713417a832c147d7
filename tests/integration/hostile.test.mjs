// Whatever lies in the directory under the name of a segment: the observer says what is wrong with
// it, goes on, and whoever follows a healthy source does not miss a tick. Every bit of this in C:
// tests/unit/shared/hostile_test.c.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { askJson, run } from "./raw.mjs";
import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };
const isRoot = process.getuid() === 0;
const NOBODY = 65534;

// Where things are in a segment: shared/segment.h.
const NAME_OFFSET = 128;
const FIELD_OFFSET_AT = 64;
const TEXT_OFFSET_AT = 76;

/** An observer, a healthy source at 1 kHz, and a client that takes every tick of it. */
async function openHealthy(t, args = []) {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args });
  const healthy = await place.startPublisher({ name: "healthy", args: ["--period", "1000"] });
  const client = await connect(t, observer);
  await client.wait(({ op }) => op === "status");
  client.send({ op: "subscribe", source: "healthy", mode: "every", rate: 60 });
  await client.wait(({ op }) => op === "batch");

  /** Fails unless the healthy source goes on and nothing of it was missed. */
  const assertUndisturbed = async () => {
    const ticksOf = () => client.all("batch").flatMap(({ rows }) => rows.map(([tick]) => tick));
    const before = ticksOf().at(-1);
    await until("it goes on", () => ticksOf().at(-1) > before + 100);
    const ticks = ticksOf();
    const gap = ticks.findIndex((tick, i) => i > 0 && tick !== ticks[i - 1] + 1);
    assert.equal(gap, -1, `after tick ${ticks[gap - 1]} came ${ticks[gap]}`);
    assert.deepEqual(client.all("dropped"), []);
    assert.ok(observer.isRunning, observer.stderr);
    assert.ok(healthy.isRunning);
    client.messages.length = client.seen = 0;
  };
  return { place, observer, client, assertUndisturbed };
}

/** The segment of a publisher that has ended: a good one, to be spoiled. */
async function goodSegment(place) {
  const publisher = await place.startPublisher({ name: "model", args: ["--ticks", "20"] });
  await publisher.stop();
  const bytes = await readFile(place.segment("model"));
  await rm(place.segment("model"));
  return bytes;
}

/** Puts bytes under a name, all at once, as a publisher does. */
async function put(place, name, bytes, owner) {
  const draft = join(place.directory, "draft");
  await writeFile(draft, bytes, { mode: 0o600 });
  if (owner !== undefined) await chown(draft, owner, owner);
  await rename(draft, place.segment(name));
}

/** A copy of a segment with another name inside, and spoiled. */
function spoiled(good, name, spoil) {
  const bytes = Buffer.from(good);
  bytes.fill(0, NAME_OFFSET, NAME_OFFSET + 48);
  bytes.write(name, NAME_OFFSET);
  const table = bytes.readUInt32LE(FIELD_OFFSET_AT);
  return spoil(bytes, { table, text: bytes.readUInt32LE(TEXT_OFFSET_AT) }) ?? bytes;
}

/** Waits until exactly these names are refused, and returns { name: problem }. */
async function refused(observer, names) {
  return until(`refused: ${names}`, async () => {
    const answer = await askJson(observer, "/api/sources");
    const problems = Object.fromEntries(answer.refused.map(({ name, problem }) => [name, problem]));
    return names.every((name) => name in problems) && Object.keys(problems).length === names.length && problems;
  });
}

async function names(observer) {
  return (await askJson(observer, "/api/sources")).sources.map(({ name }) => name);
}

const u32 = (at, value) => (bytes) => void bytes.writeUInt32LE(value, at);
const u64 = (at, value) => (bytes) => void bytes.writeBigUInt64LE(BigInt(value), at);
const inTable = (at, value) => (bytes, { table }) => void bytes.writeUInt32LE(value, table + at);

const SPOILED = {
  "magic": [(bytes) => void bytes.write("NOTOMNI!", 0), /no status segment/],
  "layout-version": [u32(8, 99), /layout version 99/],
  "byte-order": [u32(12, 0x04030201), /byte order/],
  "header-bytes": [u32(16, 255), /header_bytes/],
  "scope": [u32(20, 7), /scope/],
  "incompatible-flags": [u32(24, 0x80), /00000080/],
  "segment-bytes": [u64(32, 2n ** 40n), /segment_bytes/],
  "segment-bytes-odd": [u64(32, 4097), /segment_bytes/],
  "schema-hash": [u64(40, 1), /hash/],
  "instance": [u64(48, 0), /instance/],
  "period": [u64(56, 2n ** 63n), /period_ns/],
  "field-offset": [u32(64, 0xfffffff8), /field_offset/],
  "field-count-none": [u32(68, 0), /field_count/],
  "field-count-many": [u32(68, 0xffffffff), /field_count/],
  "field-bytes": [u32(72, 0), /field_bytes/],
  "text-offset": [u32(76, 8), /text_offset/],
  "text-bytes": [u32(80, 0x7fffffff), /text_bytes/],
  "ring-offset": [u32(84, 0xffffffc0), /ring_offset/],
  "slot-count": [u32(88, 3), /slot_count/],
  "slot-count-many": [u32(88, 1 << 19), /slot/],
  "slot-bytes": [u32(92, 64), /slot_bytes/],
  "payload-bytes": [u32(96, 0xfffffff8), /payload_bytes/],
  "name": [(bytes) => void bytes.write("else\0", NAME_OFFSET), /name inside/],
  "name-unended": [(bytes) => void bytes.fill(0x61, NAME_OFFSET, NAME_OFFSET + 48), /name inside/],
  "state": [u32(196, 9), /state/],
  "reserved": [u32(244, 1), /reserved/],
  "field-name": [(bytes, { table }) => void bytes.write("a b\0", table), /name is not a name/],
  "field-unit": [(bytes, { table }) => void bytes.write("\x1b[2J", table + 32, "latin1"), /unit/],
  "field-type": [inTable(48, 99), /unknown type 99/],
  "field-elements": [inTable(52, 0x40000000), /elements/],
  "field-place": [inTable(56, 0xfffffff8), /do not fit/],
  "field-size": [inTable(60, 1), /elements/],
  "field-range": [(bytes, { table }) => void bytes.writeDoubleLE(Infinity, table + 64), /range/],
  "field-description": [inTable(80, 0xffffffff), /description/],
  "field-labels": [inTable(88, 5), /labels/],
  "text-unended": [(bytes, { text }) => void bytes.fill(0xff, text, text + bytes.readUInt32LE(80)), /clean text/],
  "cut": [(bytes) => bytes.subarray(0, bytes.length - 64), /segment_bytes/],
  "end-mark": [(bytes) => void bytes.fill(0, bytes.length - 64), /cut short/],
  "short": [(bytes) => bytes.subarray(0, 100), /./],
};

test("a segment with any number in it that cannot be is refused with the reason", options, async (t) => {
  const { place, observer, client, assertUndisturbed } = await openHealthy(t);
  const good = await goodSegment(place);
  await put(place, "fine", spoiled(good, "fine", () => {}));
  await until("the copy itself is good", async () => (await names(observer)).includes("fine"));

  const all = Object.keys(SPOILED);
  for (const name of all) await put(place, name, spoiled(good, name, SPOILED[name][0]));
  const problems = await refused(observer, all);
  for (const name of all) assert.match(problems[name], SPOILED[name][1], name);
  assert.deepEqual(await names(observer), ["fine", "healthy"]);
  for (const name of all) assert.ok(observer.stderr.includes(`source ${name} cannot be shown: `), name);
  await assertUndisturbed();

  const late = await connect(t, observer);
  const hello = await late.wait(({ op }) => op === "hello");
  assert.deepEqual(hello.refused.map(({ name }) => name).sort(), [...all].sort());
  assert.equal(client.socket.readyState, 1);

  // What is repaired is shown, what is removed is forgotten.
  await put(place, all[0], spoiled(good, all[0], () => {}));
  for (const name of all.slice(1)) await rm(place.segment(name));
  await refused(observer, []);
  assert.ok((await names(observer)).includes(all[0]));
  await assertUndisturbed();
});

test("a segment that is still being built is awaited, not refused", options, async (t) => {
  const { place, observer, assertUndisturbed } = await openHealthy(t);
  const good = await goodSegment(place);
  await put(place, "young", spoiled(good, "young", u32(8, 0)));
  await put(place, "bad", spoiled(good, "bad", u32(20, 7)));
  await refused(observer, ["bad"]);
  assert.deepEqual(await names(observer), ["healthy"]);
  const file = await open(place.segment("young"), "r+");
  await file.write(Uint8Array.of(1, 0, 0, 0), 0, 4, 8);
  await file.close();
  await until("it is there", async () => (await names(observer)).includes("young"));
  await assertUndisturbed();
});

test("what is no segment at all is refused: pipes, links, folders, sockets, noise", options, async (t) => {
  const { place, observer, assertUndisturbed } = await openHealthy(t);
  await run("mkfifo", [place.segment("pipe")]);
  await mkdir(place.segment("folder"));
  await symlink(place.segment("healthy"), place.segment("link"));
  await symlink("/dev/zero", place.segment("device"));
  await symlink("nowhere", place.segment("dangling"));
  const server = createServer().listen(place.segment("socket"));
  t.after(() => server.close());
  await put(place, "empty", "");
  await put(place, "words", "This is no segment.\n");
  await put(place, "noise", randomBytes(65536));
  await put(place, "zeros", Buffer.alloc(65536));
  const sparse = await open(place.segment("huge"), "wx", 0o600);
  await sparse.truncate(2 ** 40);
  await sparse.close();
  const all = ["pipe", "folder", "link", "device", "dangling", "socket", "empty", "words", "noise", "zeros", "huge"];
  const problems = await refused(observer, all);
  for (const name of all) assert.ok(problems[name].length > 10, name);
  for (const name of ["pipe", "folder", "link", "device"]) assert.match(problems[name], /not a segment/, name);

  // Names that no source can have are nobody's business.
  for (const name of [" ", "a b", "<script>", "ü", ".hidden", "x".repeat(48)]) await put(place, name, "?");
  await put(place, "last", "?");
  await refused(observer, [...all, "last"]);
  assert.deepEqual(await names(observer), ["healthy"]);
  await assertUndisturbed();
});

test("a segment of a user who is not trusted is refused, unless told to trust", { ...options, skip: !isRoot && "only root can give a file away" }, async (t) => {
  const { place, observer, assertUndisturbed } = await openHealthy(t);
  const good = await goodSegment(place);
  await put(place, "foreign", spoiled(good, "foreign", () => {}), NOBODY);
  const problems = await refused(observer, ["foreign"]);
  assert.match(problems.foreign, /user 65534.*omni-observer --trust 65534, or OMNI_TRUST=65534/);
  assert.deepEqual(await names(observer), ["healthy"]);
  await assertUndisturbed();
  const trusting = await place.startObserver({ args: ["--trust", String(NOBODY)] });
  await until("it is shown", async () => (await names(trusting)).includes("foreign"));
  await refused(trusting, []);
});

test("a segment that is truncated while it is read takes nobody with it", options, async (t) => {
  const { place, observer, assertUndisturbed } = await openHealthy(t);
  const reader = await connect(t, observer);
  const sizes = [0, 1, 255, 4096, 5000, 8192];
  for (const size of sizes) {
    const name = `cut-${size}`;
    const writer = place.start("tests/programs/storm", [place.directory, name, "0", "100000"]);
    await reader.wait(({ op, source, change }) => op === "source" && change === "changed" && source.name === name && source.state === "live", name);
    reader.send({ op: "subscribe", source: name, mode: "every", rate: 1000 });
    await reader.wait(({ op, source }) => op === "batch" && source === name);
    await sleep(Math.random() * 20);
    await truncate(place.segment(name), size);
    await until(`${name} is refused`, async () => {
      const answer = await askJson(observer, "/api/sources");
      return answer.refused.some((refusal) => refusal.name === name) && !answer.sources.some((source) => source.name === name);
    });
    await writer.stop("SIGKILL");
    reader.messages.length = reader.seen = 0;
  }
  assert.equal(reader.socket.readyState, 1);
  // Truncated and back to its length: all zeros, which is not what it was.
  const silent = await place.startPublisher({ name: "holed", args: ["--ticks", "10"] });
  await until("it is there", async () => (await names(observer)).includes("holed"));
  const { length } = await readFile(place.segment("holed"));
  await truncate(place.segment("holed"), 0);
  await truncate(place.segment("holed"), length);
  await until("it is gone", async () => !(await names(observer)).includes("holed"));
  await silent.stop("SIGKILL");
  await assertUndisturbed();
});

test("a hundred files that are no segments leave room for one that is", options, async (t) => {
  const { place, observer, assertUndisturbed } = await openHealthy(t);
  for (let i = 0; i < 100; i++) await put(place, `bad-${i}`, "?");
  await until("many are refused", async () => (await askJson(observer, "/api/sources")).refused.length >= 50);
  await place.startPublisher({ name: "zzz" });
  await until("it is there", async () => (await names(observer)).includes("zzz"));
  await assertUndisturbed();
  assert.ok((await observer.memory()) < 64 * 1024);
});
