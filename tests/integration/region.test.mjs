// Memory that machines share, with a file in the place of a PCI device: who may publish there, what observers say of it,
// and which of the kernel's means are never used (the two sides have no kernel in common). Real machines: tests/vm.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { askJson, run } from "./raw.mjs";
import { awaitState, command, listed, openRegion, publishAt } from "./region.mjs";
import { commandFor, connect, openPlace, Program, until } from "./support.mjs";

const options = { timeout: 180_000 };
const HOUR = "3600000000"; // in µs

test("a robot in a region is shown like any other, through its death and its next life", options, async (t) => {
  const region = await openRegion(t);
  const { place, address } = region;
  const observer = await place.startObserver({ args: ["--region", address] });
  const { refused } = await askJson(observer, "/api/sources");
  assert.deepEqual(refused.map(({ name }) => name), [address]);
  assert.match(refused[0].problem, /there is no .*region: is its publisher running\?/);

  const found = await readdir(place.directory);
  const client = await connect(t, observer);
  const first = await publishAt(region);
  const live = await awaitState(observer, "live", "");
  assert.equal(live.process, first.pid);
  assert.deepEqual((await askJson(observer, "/api/sources")).refused, []);
  client.send({ op: "subscribe", source: "robot" });
  await client.wait(({ op, source }) => op === "status" && source === "robot");
  // What the publisher stamped is what is shown, and told in the observer's own time.
  const status = await askJson(observer, "/api/status?source=robot");
  assert.ok(Math.abs(status.time / 1000 - Date.now()) < 60_000);

  const [line] = await listed(region);
  assert.equal(line.name, "robot");
  assert.equal(line.region, address);
  assert.equal(line.state, "live");
  const table = await command(place, "list", "--directory", place.directory, "--region", address);
  assert.match(table.stdout, /\tSLOTS\tREGION\tREASON\nrobot\tlive\t.*\tfile:\S*\t\n$/);
  const dump = await command(place, "dump", address, "--count", "50");
  assert.equal(dump.code, 0, dump.stderr);
  const ticks = dump.stdout.trimEnd().split("\n").map((text) => JSON.parse(text).tick);
  assert.deepEqual(ticks, ticks.map((_, i) => ticks[0] + i));
  const watch = place.start("omni-observer", ["watch", address, "--rate", "20"]);
  await watch.says(/ live tick \d+: .*bot_mode/);

  await first.stop("SIGKILL");
  const died = await awaitState(observer, "stopped", "died");
  assert.ok(died.age >= 2_000_000, "not before the stated two seconds");
  assert.equal((await listed(region))[0].reason, "died");
  await watch.says(/ stopped \(died\)/);

  const second = await publishAt(region);
  const again = await awaitState(observer, "live", "", ({ process }) => process === second.pid);
  assert.notEqual(again.instance, live.instance);
  await watch.says(/ stopped \(died\)[^]* live tick/);
  const history = await askJson(observer, "/api/history?source=robot&seconds=3600");
  assert.deepEqual([...new Set(history.rows.map(([instance]) => instance))], [live.instance, again.instance]);
  const times = history.rows.map((row) => row[3]);
  assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]), "in the order of their times");

  await second.stop();
  await awaitState(observer, "stopped", "closed");
  assert.deepEqual((await readdir(place.directory)).sort(), [...found, "region"].sort(), "no companions");
});

test("a robot that is paused is not live, and one that wakes up too late ends by itself", options, async (t) => {
  const region = await openRegion(t);
  const observer = await region.place.startObserver({ args: ["--region", region.address] });
  const first = await publishAt(region);
  await awaitState(observer, "live", "");

  // While it lives nobody else comes in.
  const second = region.place.start("omni-robot", ["--name", "other", "--region", region.address]);
  assert.equal((await second.ended).code, 2);
  assert.match(second.stderr, /is in use, "robot" is published there and its publisher lives: stop it, or choose another region/);

  first.child.kill("SIGSTOP");
  await awaitState(observer, "stopped", "died");
  first.child.kill("SIGCONT");
  await awaitState(observer, "live", "");

  first.child.kill("SIGSTOP");
  const third = await publishAt(region);
  await awaitState(observer, "live", "", ({ process }) => process === third.pid);
  first.child.kill("SIGCONT");
  assert.equal((await first.ended).code, 1);
  assert.match(first.stderr, /Another publisher has taken over file:.*: it ends, its motors are off\./);
  const before = await awaitState(observer, "live", "", ({ process }) => process === third.pid);
  await awaitState(observer, "live", "", ({ tick, process }) => process === third.pid && tick > before.tick + 20);
});

test("a robot that waits whether another one is dead ends at once when it is told to", options, async (t) => {
  const OWNER_OFFSET = 200; // shared/segment.h
  const region = await openRegion(t);
  await (await publishAt(region)).stop("SIGKILL");

  // As if others came and went before it: then it waits longest.
  const ownerNow = async () => (await readFile(region.file)).readUInt32LE(OWNER_OFFSET);
  const dead = await ownerNow();
  const memory = await open(region.file, "r+");
  const owner = Buffer.alloc(4);
  let number = 1;
  const others = setInterval(() => {
    owner.writeUInt32LE(number += 2);
    memory.write(owner, 0, 4, OWNER_OFFSET);
  }, 100);
  t.after(async () => {
    clearInterval(others);
    await memory.close();
  });

  const waits = region.place.start("omni-robot", ["--name", "other", "--region", region.address]);
  await until("it has mapped the region", async () => (await readFile(`/proc/${waits.pid}/maps`, "utf8")).includes(region.file));
  waits.child.kill("SIGTERM");
  assert.equal((await waits.ended).code, 0);
  assert.match(waits.stderr, /Robot "other" was told to stop while it waited whether the publisher of file:.* is dead: nothing was published there\.\n/);
  const left = await ownerNow();
  assert.ok(left === dead || left <= number, `${left} is a number of its own`);
});

test("two sources of one name: the second is refused, and why is told", options, async (t) => {
  const region = await openRegion(t);
  const { place, address } = region;
  const observer = await place.startObserver({ args: ["--region", address] });
  await place.startRobot();
  await awaitState(observer, "live", "");
  await publishAt(region);
  const refused = await until("a refusal", async () => {
    const { refused: all } = await askJson(observer, "/api/sources");
    return all.find(({ problem }) => problem.includes("another source is named"));
  });
  assert.equal(refused.name, address);
  assert.match(refused.problem, /another source is named "robot", in the directory: give one of their publishers another --name/);
  assert.equal((await askJson(observer, "/api/sources")).sources.length, 1);
});

test("what is at an address is told in words, and nothing is written over", options, async (t) => {
  const { place, file, address } = await openRegion(t);
  const robot = async (...args) => {
    const program = place.start("omni-robot", args);
    assert.equal((await program.ended).code, 2);
    return program.stderr;
  };
  await writeFile(file, "my thesis");
  assert.match(await robot("--region", address), /is too small/);
  const thesis = "my thesis".repeat(1000);
  await writeFile(file, thesis);
  assert.match(await robot("--region", address), /holds something that is no segment: choose another region/);
  assert.equal(await readFile(file, "utf8"), thesis);
  assert.match(await robot("--region", "pci:00:04.0/resource2"), /SLOT as lspci -D says it: pci:0000:00:04\.0\/resource2/);
  assert.match(await robot("--region", "pci:ffff:ff:1f.7/resource2"), /lspci -D lists what this machine has/);
  assert.match(await robot("--region", "devmem:1MiB"), /write devmem:ADDRESS\+LENGTH, for example devmem:0xfe000000\+1MiB/);
  assert.match(await robot("--region", "tape:0"), /NAME, shm:NAME, file:PATH, devmem:ADDRESS\+LENGTH or pci:SLOT\/resource2/);
  assert.match(await robot("--region", "shm:a", "--name", "b"), /give both the same name/);

  const wrong = await command(place, "serve", "--region", "tape:0");
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--region: "tape:0" is no address/);
  assert.match((await command(place, "list", "--region", "robot")).stderr, /what is in --directory is found by itself/);
  const missing = await command(place, "dump", `file:${join(place.directory, "nothing")}`);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /there is no .*nothing: is its publisher running\?/);
  await writeFile(file, Buffer.alloc(65536));
  const empty = await command(place, "dump", address);
  assert.equal(empty.code, 3);
  assert.match(empty.stderr, /nothing has been published there yet; --wait waits for it/);

  // And waiting works: the file that was there keeps its size.
  const waiting = place.start("omni-observer", ["dump", address, "--wait", "--count", "3"]);
  await publishAt({ place, file, address });
  assert.equal((await waiting.ended).code, 0, waiting.stderr);
  assert.equal(waiting.stdout.split("\n").length, 4);
  assert.equal((await stat(file)).size, 65536);
});

test("the files of a source of one kernel are no regions, whether they are there or not", options, async (t) => {
  const { place } = await openRegion(t);
  await place.startRobot();
  const kinds = ["omni.", "omni-lock.", "omni-sleepers.", "omni-step.", "omni-new."];
  const before = (await readdir(place.directory)).sort();
  assert.ok(before.includes("omni.robot") && before.includes("omni-lock.robot"));
  const lock = await readFile(join(place.directory, "omni-lock.robot"));
  for (const name of kinds.flatMap((kind) => [`${kind}robot`, `${kind}another`])) {
    const program = place.start("omni-robot", ["--name", "another", "--region", `file:${place.directory}/${name}`]);
    assert.equal((await program.ended).code, 2, name);
    assert.match(program.stderr, /has a name that only a source of one kernel gives to its files: choose another/);
  }
  assert.deepEqual((await readdir(place.directory)).sort(), before);
  assert.deepEqual(await readFile(join(place.directory, "omni-lock.robot")), lock);
});

test("dump says that its source ended, and with --follow goes on with the next one", options, async (t) => {
  const region = await openRegion(t);
  const first = await publishAt(region, "tests/programs/publisher", ["--period", "2000"]);
  const plain = region.place.start("omni-observer", ["dump", region.address]);
  const following = region.place.start("omni-observer", ["dump", region.address, "--follow"]);
  await plain.says(/"tick":200,/);
  await first.stop("SIGKILL");
  assert.equal((await plain.ended).code, 4);
  assert.match(plain.stderr, /its publisher died; --follow waits for its next start/);
  await publishAt(region, "tests/programs/publisher", ["--period", "2000"]);
  await following.says(/\n\{"instance":"[0-9a-f]{16}"\}\n\{"tick":1,[^]*"tick":100,/);
  for (const program of [plain, following]) {
    const ticks = program.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line)).filter(({ tick }) => tick);
    for (const { tick, values } of ticks) assert.equal(values.counter, tick);
  }
});

test("a dump takes a successor's goodbye for what it is", options, async (t) => {
  const region = await openRegion(t);
  const first = await publishAt(region, "tests/programs/publisher", ["--period", HOUR, "--ticks", "1"]);
  const dump = region.place.start("omni-observer", ["dump", region.address]);
  await dump.says(/"tick":1,/);
  // Looks again only when all is over: one has died, another has come, published and gone.
  dump.child.kill("SIGSTOP");
  await first.stop("SIGKILL");
  const heir = region.place.start("omni-robot", ["--region", region.address, "--ticks", "1"]);
  assert.deepEqual(await heir.ended, { code: 0, signal: null }, heir.stderr);
  dump.child.kill("SIGCONT");
  assert.equal((await dump.ended).code, 4, dump.stderr);
  assert.match(dump.stderr, /another publisher has begun in its place/);
});

/** Starts a dump whose output nobody reads until rest() does: it stands still when the pipe is full. */
async function dumpIntoPipe(t, { place, address }) {
  const file = join(place.directory, "pipe");
  await promisify(execFile)("mkfifo", [file]);
  const pipe = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const end = await open(file, constants.O_WRONLY); // becomes a blocking one
  const [command, ...words] = commandFor("omni-observer");
  const child = spawn(command, [...words, "dump", address], { stdio: ["ignore", end.fd, "pipe"] });
  await end.close();
  const dump = { pid: child.pid, stdout: "", stderr: "" };
  child.stderr.on("data", (bytes) => (dump.stderr += bytes));
  const ended = once(child, "close");
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
    await pipe.close();
  });
  dump.written = async () => {
    assert.equal(child.exitCode, null, dump.stderr);
    return Number(/^wchar: (\d+)/m.exec(await readFile(`/proc/${child.pid}/io`, "utf8").catch(() => "wchar: 0"))[1]);
  };
  dump.rest = async () => {
    let code;
    void ended.then(([given]) => (code = given));
    await until("all that is dumped", async () => {
      const over = code !== undefined;
      const { bytesRead, buffer } = await pipe.read().catch(() => ({ bytesRead: 0 }));
      dump.stdout += bytesRead > 0 ? buffer.toString("utf8", 0, bytesRead) : "";
      return bytesRead === 0 && over;
    });
    return code;
  };
  return dump;
}

test("a dump does not call closed what it could not read to its end", options, async (t) => {
  const region = await openRegion(t);
  const first = await publishAt(region, "tests/programs/publisher", ["--period", HOUR, "--slots", "1024", "--farewell", "1000"]);
  const dump = await dumpIntoPipe(t, region);
  await until("the first tick", async () => (await dump.written()) > 0);
  // It finds the goodbye, and then cannot write all that came before it.
  await first.stop();
  await until("a full pipe", async () => (await dump.written()) > 50_000);
  await publishAt(region);
  assert.equal(await dump.rest(), 4, dump.stderr);
  assert.match(dump.stderr, /another publisher has begun in its place/);
  const ticks = dump.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.ok(ticks.length < 1001, `${ticks.length}`);
  for (const [i, { tick, values }] of ticks.entries()) assert.deepEqual([tick, values.counter], [i + 1, i + 1]);
});

// ---- what the two sides have not in common ----

/** Whether a program may be traced here; else why not. */
async function cannotTrace() {
  return run("strace", ["-f", "-o", "/dev/null", "true"]).then(() => undefined, (error) => `strace: ${error.message.split("\n")[0]}`);
}

/** Runs a program to its end, and returns its calls that could lock, wait, wake or map. `during` gets the traced program
    (whose stop() it may use) for one that does not end by itself. */
async function trace(place, file, args, during = async () => {}) {
  const log = join(place.directory, "trace");
  const words = ["-f", "-o", log, "-e", "trace=openat,close,mmap,mremap,futex,fcntl,flock", ...commandFor(file), ...args];
  const strace = new Program(spawn("strace", words, { cwd: place.directory, env: { ...process.env, HOME: place.directory } }), `strace ${file}`);
  place.programs.push(strace);
  const pid = await until(`${file} is traced`, async () => {
    if (!strace.isRunning) return -1;
    const [child] = (await readFile(`/proc/${strace.pid}/task/${strace.pid}/children`, "utf8").catch(() => "")).split(" ");
    // strace has other children before, who try out what the kernel can do.
    return (await readFile(`/proc/${child}/comm`, "utf8").catch(() => "")).trim() === file && Number(child);
  });
  strace.stopTraced = () => process.kill(pid, "SIGTERM");
  // Without its tracer it would live on.
  await during(strace).catch((error) => {
    process.kill(pid, "SIGKILL");
    throw error;
  });
  assert.deepEqual(await strace.ended, { code: 0, signal: null }, strace.stderr);
  return (await readFile(log, "utf8")).split("\n");
}

const LOCKS = /\b(flock\(|fcntl\w*\(\d+, F_(OFD_)?(SETLKW?|GETLK))/;
const SHARED_WAKE = /futex\((0x[0-9a-f]+), FUTEX_WAKE, 2147483647/;

/** Where a file was mapped: [from, to). A descriptor's number is given anew when it was closed. */
function mappingsOf(lines, file) {
  const mappings = [];
  let descriptor;
  for (const line of lines) {
    const [, path, opened] = /openat\(\w+, "([^"]+)".* = (\d+)$/.exec(line) ?? [];
    const [, closed] = /close\((\d+)\)/.exec(line) ?? [];
    const [, size, mapped, from] = /mmap\(.*?, (\d+), PROT_\S+, MAP_SHARED\S*, (\d+), .* = (0x[0-9a-f]+)$/.exec(line) ?? [];
    if (path === file) descriptor = opened;
    if (closed === descriptor) descriptor = undefined;
    if (mapped && mapped === descriptor) mappings.push([Number(from), Number(from) + Number(size)]);
  }
  return mappings;
}

function futexesIn(lines, mappings) {
  const inside = (address) => mappings.some(([from, to]) => address >= from && address < to);
  return lines.filter((line) => inside(Number(/futex\((0x[0-9a-f]+)/.exec(line)?.[1])));
}

test("in a region neither side uses a futex or a file lock; on one kernel both are seen", options, async (t) => {
  const reason = await cannotTrace();
  if (reason) return t.skip(reason);
  const region = await openRegion(t);
  const { place, file, address } = region;
  // That the trace shows what it is to show: the same robot on one kernel, and who lists it.
  const directory = ["--directory", place.directory];
  const kernel = await trace(place, "omni-robot", [...directory, "--ticks", "5"]);
  assert.ok(kernel.some((line) => LOCKS.test(line)));
  assert.ok(kernel.some((line) => SHARED_WAKE.test(line)));
  assert.ok((await trace(place, "omni-observer", ["list", ...directory])).some((line) => LOCKS.test(line)));
  await rm(place.segment("robot"));

  const traced = { publisher: await trace(place, "omni-robot", ["--region", address, "--ticks", "20"]) };
  // A publisher that waits for one that died, too.
  await (await publishAt(region)).stop("SIGKILL");
  traced.heir = await trace(place, "omni-robot", ["--region", address, "--ticks", "20"]);
  await publishAt(region);
  traced.dump = await trace(place, "omni-observer", ["dump", address, "--count", "50"]);
  traced.list = await trace(place, "omni-observer", ["list", ...directory, "--region", address]);
  traced.watch = await trace(place, "omni-observer", ["watch", address, "--rate", "20"], async (watch) => {
    await watch.says(/( live tick [^]*){5}/);
    watch.stopTraced();
  });
  const serve = ["serve", "--region", address, ...directory, "--listen", "127.0.0.1:0", "--token-file", join(place.directory, "token")];
  traced.serve = await trace(place, "omni-observer", serve, async (observer) => {
    const [link] = await observer.says(/http:\/\/\S+(?=\n)/);
    const there = { url: new URL(link).origin, address: new URL(link).host };
    const client = await connect(t, there);
    client.send({ op: "subscribe", source: "robot" });
    for (let i = 0; i < 20; i++) await client.wait(({ op, source }) => op === "status" && source === "robot");
    observer.stopTraced();
  });
  for (const [name, lines] of Object.entries(traced)) {
    const mappings = mappingsOf(lines, file);
    assert.equal(mappings.length, 1, name);
    assert.deepEqual(futexesIn(lines, mappings), [], name);
    assert.deepEqual(lines.filter((line) => SHARED_WAKE.test(line)), [], name);
    assert.deepEqual(lines.filter((line) => LOCKS.test(line)), [], name);
  }
  return undefined;
});
