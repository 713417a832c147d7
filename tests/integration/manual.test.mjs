// The manual pages: whole, without a warning of those who draw them; what they name is there; the programs in them are
// compiled and run. That their tables agree with the headers, and their options with the programs, the unit tests of
// options and of the segment (manual_test.c) show.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { BUILD, commandFor, openPlace, ROOT, until } from "./support.mjs";

const run = promisify(execFile);
const options = { timeout: 120_000 };
const FOLDER = join(ROOT, "docs/man");
const env = { ...process.env, LC_ALL: "C.UTF-8", MANWIDTH: "80" };
const pages = await readdir(FOLDER);
const read = (page) => readFile(join(FOLDER, page), "utf8");
const lacks = async (command) => run("sh", ["-c", `command -v ${command}`]).then(() => undefined, () => `there is no ${command}`);

/** Text as it is typed, without roff's ways of writing it. */
const plain = (text) =>
  text.replaceAll(/\\f./g, "").replaceAll("\\-", "-").replaceAll("\\(aq", "'").replaceAll("\\(ti", "~").replaceAll("\\(ha", "^").replaceAll(/^\\&/gm, "").replaceAll("\\e", "\\");

test("there is a page for every program, for every kind of file, and for the library", options, async () => {
  const { stdout } = await run("make", ["-C", ROOT, "--no-print-directory", "--eval", "names: ; @echo $(notdir $(ROBOT) $(OBSERVER) $(DRIVER_HOST))", "names"]);
  for (const program of stdout.trim().split(" ")) assert.ok(pages.some((page) => /\.[18]$/.test(page) && page.startsWith(`${program}.`)), program);
  for (const page of ["omni-config.5", "omni-gpio.5", "omni-segment.5", "libomni.3"]) assert.ok(pages.includes(page), page);
});

test("man draws every page without a warning", options, async (t) => {
  const lacking = await lacks("man");
  if (lacking) return t.skip(lacking);
  for (const page of pages) {
    const { stdout, stderr } = await run("man", ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", join(FOLDER, page)], { env, maxBuffer: 1 << 26 });
    assert.equal(stderr, "", page);
    assert.ok(stdout.length > 1000, page);
  }
});

test("mandoc finds nothing to warn of", options, async (t) => {
  const lacking = await lacks("mandoc");
  if (lacking) return t.skip(lacking);
  for (const page of pages) {
    const { stdout } = await run("mandoc", ["-T", "lint", "-W", "warning", join(FOLDER, page)]).catch((error) => error);
    // A date would be of the last time that somebody thought of it.
    const said = stdout.split("\n").filter((line) => line !== "" && !line.includes("missing date"));
    assert.deepEqual(said, [], page);
  }
});

test("pages that are named are there, and each is named by another", options, async () => {
  const named = new Set();
  for (const page of pages) {
    const text = plain(await read(page));
    for (const [, name, section] of text.matchAll(/\b((?:omni-|libomni)[a-z-]*) ?\((\d)\)/g)) {
      assert.ok(pages.includes(`${name}.${section}`), `${page} names ${name}(${section})`);
      if (page !== `${name}.${section}`) named.add(`${name}.${section}`);
    }
  }
  assert.deepEqual([...named].sort(), [...pages].sort());
});

test("an option that a page names is one of the programs'", options, async () => {
  const known = new Set();
  for (const program of ["omni-robot", "omni-relay", "omni-observer"]) {
    const [command, ...words] = commandFor(program);
    const { stdout } = await run(command, [...words, "--help"]);
    for (const [, name] of stdout.matchAll(/(?<=^ {2}(?:-\w, | {4})?)--([a-z-]+)/gm)) known.add(name);
  }
  assert.ok(known.size > 40, [...known].join());
  for (const page of pages) {
    for (const [line] of plain((await read(page)).replaceAll(/^\.\\".*$/gm, "")).matchAll(/.*--[a-z].*/g))
      for (const [, name] of line.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g))
        if (!line.includes("basenc")) assert.ok(known.has(name), `${page}: --${name} in: ${line}`);
  }
});

test("libomni(3) names every function of the installed headers, and no other", options, async () => {
  const makefile = await readFile(join(ROOT, "Makefile"), "utf8");
  const headers = /^PUBLIC +:= (.*)$/m.exec(makefile)[1].split(" ");
  const declared = new Set();
  for (const header of headers)
    for (const [, name] of (await readFile(join(ROOT, "shared", `${header}.h`), "utf8")).matchAll(/^[a-z][\w ]*[ *](omni_\w+)\(/gm)) declared.add(name);
  const functions = (await read("libomni.3")).split(".SH FUNCTIONS")[1];
  const named = [...functions.matchAll(/(omni_\w+) \(\)/g)].map(([, name]) => name);
  assert.equal(new Set(named).size, named.length, "each once");
  assert.deepEqual(named.sort(), [...declared].sort());
  for (const header of headers) assert.match(functions, new RegExp(`<omni/${header}\\.h>`));
});

/** The examples of a page, by their names. */
async function examples(page) {
  const found = (await read(page)).matchAll(/^\.\\" example: (\S+)\n\.EX\n([^]*?)^\.EE$/gm);
  return Object.fromEntries([...found].map(([, name, text]) => [name, plain(text)]));
}

test("the programs in libomni(3) compile, and see each other", options, async (t) => {
  const place = await openPlace(t);
  const found = await examples("libomni.3");
  assert.deepEqual(Object.keys(found), ["publisher.c", "reader.c"]);
  for (const [name, text] of Object.entries(found)) {
    await writeFile(join(place.directory, name), text);
    await run("cc", ["-Wall", "-Wextra", "-Werror", `-I${BUILD}/include`, name, join(BUILD, "libomni.a"), "-lm", "-o", name.slice(0, -2)], { cwd: place.directory });
  }
  const settings = { cwd: place.directory, env: { ...env, OMNI_DIRECTORY: place.directory } };
  const publisher = run(join(place.directory, "publisher"), [], settings);
  await until("it publishes", () => readFile(place.segment("tank")).then(() => true, () => false));
  const { stdout } = await run(join(place.directory, "reader"), ["tank"], settings);
  await publisher;
  const ticks = [...stdout.matchAll(/^tick (\d+), 0 missed$/gm)].map(([, tick]) => Number(tick));
  assert.deepEqual(ticks, Array.from({ length: 100 }, (_, i) => i + 1), stdout);
});

/** Whether the observer's value is Python's: that has floats of 32 bits in full, the other in their shortest form. */
const alike = (told, own) =>
  typeof told === "object" && told !== null ? told.length === own.length && told.every((value, i) => alike(value, own[i]))
    : told === own || (typeof own === "number" && own === Math.fround(own) && Math.fround(told) === own);

/** Lines of JSON; integers that JavaScript cannot hold as strings, as the observer writes them. */
const lines = (text) => text.trim().split("\n").map((line) => JSON.parse(line.replaceAll(/(?<=[:[,] )\d{16,}(?=[,}\]])/g, '"$&"')));

test("the reader in omni-segment(5) is the example, and reads what the observer reads", options, async (t) => {
  const program = await readFile(join(ROOT, "examples/read_status.py"), "utf8");
  assert.equal((await examples("omni-segment.5"))["read_status.py"], program);
  const lacking = await lacks("python3");
  if (lacking) return t.skip(lacking);
  const place = await openPlace(t);
  // A float, an integer of 64 bits, NaN, arrays, text, an enum, a bool; and a real robot.
  const programs = { plain: await place.startPublisher({ name: "plain", args: ["--period", "2000"] }), robot: await place.startRobot() };
  for (const [name, program] of Object.entries(programs)) {
    const seen = await run("python3", [join(ROOT, "examples/read_status.py"), place.segment(name), "120"], { maxBuffer: 1 << 26 });
    await program.stop(); // the ring keeps two seconds
    const [command, ...words] = commandFor("omni-observer");
    const dumped = await run(command, [...words, "dump", name, "--directory", place.directory], { maxBuffer: 1 << 26 });
    const truth = new Map(lines(dumped.stdout).filter((line) => line.tick).map((line) => [line.tick, line.values]));
    const ticks = lines(seen.stdout);
    assert.equal(ticks.length, 120);
    ticks.slice(1).forEach(({ tick, missed }, i) => assert.equal(tick - ticks[i].tick, missed + 1, `${name}: what was missed is told`));
    const both = ticks.filter(({ tick }) => truth.has(tick));
    assert.ok(both.length > 20, `${name}: ${both.length} ticks were seen by both`);
    for (const { tick, values } of both)
      for (const [field, value] of Object.entries(truth.get(tick))) assert.ok(alike(value, values[field]), `${name}, tick ${tick}: ${field} is ${value}, was read as ${values[field]}`);
    assert.deepEqual(Object.keys(both[0].values).sort(), Object.keys(truth.get(both[0].tick)).sort());
  }
});

test("that reader tells the end, silence, and what is no segment", options, async (t) => {
  const lacking = await lacks("python3");
  if (lacking) return t.skip(lacking);
  const place = await openPlace(t);
  const reader = (...args) => run("python3", [join(ROOT, "examples/read_status.py"), ...args]).then(({ stdout }) => ({ code: 0, stdout }), (error) => error);
  const robot = await place.startRobot();
  const ending = reader(place.segment("robot"));
  await until("it reads", async () => (await readFile(place.segment("robot"))).readUInt32LE(192) > 100);
  await robot.stop();
  const last = (await ending).stdout.trim().split("\n").at(-1);
  assert.equal((await ending).code, 0);
  assert.equal(JSON.parse(last).values.bot_mode, "stopped", "the last tick is read");
  const killed = await place.startRobot({ name: "killed" });
  const silent = reader(place.segment("killed"));
  await until("it reads", async () => (await readFile(place.segment("killed"))).readUInt32LE(192) > 50);
  await killed.stop("SIGKILL");
  assert.match((await silent).stderr, /silent/);
  await writeFile(place.segment("forged"), Buffer.alloc(4096));
  await chmod(place.segment("forged"), 0o644);
  assert.match((await reader(place.segment("forged"))).stderr, /is no segment that this program can read/);
  assert.equal((await reader()).stderr, "write for example: read_status.py /dev/shm/omni.robot 10\n");
  assert.match((await reader(place.segment("absent"))).stderr, /^\[Errno 2\].*absent'; omni-observer list names the sources\n$/);
});

/** What FINGERPRINT in omni-segment(5) says, done. */
function fingerprint(segment) {
  const [table, count, entry, text] = [64, 68, 72, 76].map((at) => segment.readUInt32LE(at));
  let hash = 0xcbf29ce484222325n;
  const add = (bytes) => {
    for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  };
  const string = (at) => segment.subarray(at, segment.indexOf(0, at) + 1);
  const bound = (at) => (Number.isNaN(segment.readDoubleLE(at)) ? Buffer.from([0, 0, 0, 0, 0, 0, 0xf8, 0x7f]) : segment.subarray(at, at + 8));
  add(segment.subarray(96, 100));
  for (let field = table; field < table + count * entry; field += entry) {
    for (const bytes of [string(field), string(field + 32), segment.subarray(field + 48, field + 64), segment.subarray(field + 88, field + 92), bound(field + 64), bound(field + 72)]) add(bytes);
    let label = text + segment.readUInt32LE(field + 84);
    for (let left = segment.readUInt32LE(field + 88); left > 0; left--) {
      add(string(label));
      label += string(label).length;
    }
  }
  return hash;
}

test("the fingerprint is made as omni-segment(5) says", options, async (t) => {
  const place = await openPlace(t);
  for (const layout of ["a", "b", "hostile"]) {
    await place.startPublisher({ name: layout, args: ["--layout", layout] });
    const segment = await readFile(place.segment(layout));
    assert.equal(fingerprint(segment), segment.readBigUInt64LE(40), layout);
  }
});
