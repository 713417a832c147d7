// What a program is started with may be odd: descriptors that are closed, nobody who reads what it says. None of it may
// end a robot that drives, and nothing that is said may land in a file of somebody else's.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { commandFor, openPlace, Program, until } from "./support.mjs";

/** A program that a shell starts with descriptors as `redirections` have them. */
function startWith(place, redirections, file, args, environment = "") {
  const script = `${environment} exec "$@" ${redirections}`;
  const child = spawn("sh", ["-c", script, "sh", ...commandFor(file), ...args], { cwd: place.directory, stdio: ["ignore", "pipe", "pipe"] });
  const program = new Program(child, file);
  place.programs.push(program);
  return program;
}

/** The names of the files in the place that have a text in them. */
async function filesWith(place, text) {
  const names = await readdir(place.directory);
  const contents = await Promise.all(names.map((name) => readFile(join(place.directory, name), "latin1")));
  return names.filter((_, i) => contents[i].includes(text));
}

const CLOSED = { "standard error": "2>&-", "all three": "0<&- 1>&- 2>&-" };

for (const [what, redirections] of Object.entries(CLOSED))
  test(`a robot that is started without ${what} writes no word into its segment`, async (t) => {
    const place = await openPlace(t);
    const robot = startWith(place, redirections, "omni-robot", ["--directory", place.directory, "--ticks", "20"]);
    assert.deepEqual(await robot.ended, { code: 0, signal: null });
    assert.ok((await readdir(place.directory)).includes("omni.robot"));
    assert.deepEqual(await filesWith(place, "ticks a second"), []);
    assert.deepEqual(await filesWith(place, "worst jitter"), []);
  });

test("an observer that is started without standard streams holds nothing in their places", async (t) => {
  const place = await openPlace(t);
  const robot = await place.startRobot();
  const observer = startWith(place, "0<&- 1>&- 2>&-", "omni-observer", ["--directory", place.directory, "--listen", "127.0.0.1:0", "--host-source"]);
  await until("it publishes", async () => (await readdir(place.directory)).includes("omni.host"));
  for (const number of [0, 1, 2]) assert.equal(await readlink(`/proc/${observer.pid}/fd/${number}`), "/dev/null");
  assert.ok(robot.isRunning && observer.isRunning);
});

test("a robot whose words nobody reads any more drives on", async (t) => {
  const place = await openPlace(t);
  const robot = place.start("omni-robot", ["--directory", place.directory, "--ticks", "50"]);
  robot.child.stderr.destroy();
  assert.deepEqual(await robot.ended, { code: 0, signal: null });
});

test("a robot whose words nobody reads, though somebody could, drives on", async (t) => {
  const place = await openPlace(t);
  const fill = "mkfifo words; exec 7<>words; timeout 2 dd if=/dev/zero of=words bs=4096 count=1000 2>dd.txt;";
  const robot = startWith(place, "2>words", "omni-robot", ["--directory", place.directory, "--ticks", "20"], fill);
  assert.deepEqual(await robot.ended, { code: 0, signal: null });
  assert.ok((await readdir(place.directory)).includes("omni.robot"));
});

test("a robot drives on where nobody waits for it to be ready any more", async (t) => {
  const place = await openPlace(t);
  const robot = startWith(place, "", "omni-robot", ["--directory", place.directory, "--ticks", "20"], "mkfifo ready; exec 7<>ready 8>ready 7<&-; export NOTIFY_FD=8;");
  assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
});

test("an observer that may open next to nothing says so, and falls in no library", async (t) => {
  const place = await openPlace(t);
  for (const files of [6, 12, 31]) {
    const observer = startWith(place, "", "omni-observer", ["--directory", place.directory, "--listen", "127.0.0.1:0"], `ulimit -n ${files};`);
    assert.deepEqual(await observer.ended, { code: 2, signal: null }, observer.stderr);
    assert.match(observer.stderr, new RegExp(`only ${files} open files are allowed, and 32 are needed at the very least`));
  }
});
