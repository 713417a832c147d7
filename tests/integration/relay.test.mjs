// The relay between two cores: real interfaces, real files. The far core is a program in Python with the kernel's own raw
// sockets, or a second relay. Whatever is counted is compared with what was sent.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { cp, mkdir, readFile, readdir, readlink, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { FAR, NEAR, lackingForCores, openCores } from "./cores.mjs";
import { startManager } from "./manager.mjs";
import { askJson } from "./raw.mjs";
import { BUILD, ROOT, openPlace, until, used } from "./support.mjs";

const run = promisify(execFile);
const BURST = 10_000;
const skip = lackingForCores();
const cores = { skip, timeout: 120_000 };

/** "file a": { file: "a" }; "frame x": { frame: "x" }; "1 > c": { file: "c", text: "1" } */
function end(words) {
  const [, text, written] = /^(.*) > (\w+)$/s.exec(words) ?? [];
  if (written) return { file: written, text };
  const [kind, name] = words.split(" ");
  return { [kind]: name };
}

/** A config in the place's own folder "in", from ["file a -> frame x", ...]. */
function configOf(place, routes, more = {}) {
  const list = routes.map((route) => route.split(" -> ")).map(([when, then]) => ({ when: end(when), then: end(then) }));
  return { directory: join(place.directory, more.folder ?? "in"), routes: list, ...more.keys };
}

/** Opens, writes and closes, as a shell does it. */
const put = (place, name, text = "1\n", folder = "in") => writeFileSync(join(place.directory, folder, name), text);
const textOf = (place, name, folder = "in") => readFile(join(place.directory, folder, name), "utf8");

/** The relay's status as the dashboard has it. */
class Dashboard {
  static async open(place) {
    const dashboard = new Dashboard();
    dashboard.observer = await place.startObserver();
    return dashboard;
  }

  async status(name = "relay") {
    return (await askJson(this.observer, `/api/status?source=${name}`)).values;
  }

  async shows(accept, name) {
    let values;
    const describe = () => `the status is as expected; it is ${JSON.stringify(values)}`;
    await until("the relay is shown", async () => {
      values = await this.status(name).catch(() => undefined);
      return values && accept(values);
    }).catch((error) => assert.fail(`${error.message}: ${describe()}`));
    return values;
  }
}

const lines = (relay, pattern) => relay.stderr.split("\n").filter((line) => pattern.test(line));

/* ---- the predecessor's way ---- */

test("the predecessor's file: three files made, closing one sends a frame, two frames write 1", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const folder = join(place.directory, "deep/irq");
  const udrv = { file: { "ihub-irq-dev": { path: folder } }, misc: { ihub_config_dev: { regs: { ihub_reset_irq: { reg: "ihub.reset" } } } } };
  await writeFile(join(place.directory, "udrv.json"), JSON.stringify(udrv));
  const relay = await board.startRelay({ args: [NEAR], env: { UDRV_JSON_PATH: "udrv.json" } });
  assert.deepEqual((await readdir(folder)).sort(), ["message_5_state", "message_6_trig", "reset"]);

  put(place, "message_6_trig", "1", "deep/irq");
  await until("the frame arrives", async () => (await far.ask("count")) === 1);
  const [{ address }] = JSON.parse(execFileSync("ip", ["-j", "-n", board.names.near, "link", "show", NEAR]));
  const [frame] = await far.ask("take");
  assert.equal(frame, `ffffffffffff${address.replaceAll(":", "")}8800${Buffer.from("redun_notify_irq").toString("hex")}`);

  for (const [event, file] of [["ihub_hwwd_irq", "message_5_state"], ["ihub_reset_irq", "reset"]]) {
    assert.equal(await textOf(place, file, "deep/irq"), "");
    await far.ask("send", event);
    await until(`${file} is written`, async () => (await textOf(place, file, "deep/irq")) === "1");
  }
  await far.ask("send", "redun_notify_irq", "ihub_other_irq");
  await far.ask("send", "ihub_hwwd_irq");
  const { code } = await relay.stop();
  assert.equal(code, 0);
  assert.equal(await far.ask("count"), 0, "its own writing sent nothing");
  assert.match(relay.stderr, /stopped: frames \d in, 1 out; files 1 in, \d out; 0 errors\./);
});

/* ---- any events ---- */

test("any events: from files and frames, to files and frames; the dashboard shows the relay as a source of its own", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar({ ethertype: "0x88b5" });
  const routes = ["file a -> frame A", "file a -> from a > copy", "frame B -> from B > b", "frame B -> frame C", "frame Ä -> ä\n > umlaut", `frame ${"ö".repeat(60)} -> frame D`];
  const relay = await board.startRelay({ config: configOf(place, routes, { keys: { ethertype: "0x88B5", destination: "02:00:00:00:00:09" } }) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up && status.frames_in === 0);
  put(place, "a");
  await until("both actions of one event", async () => (await textOf(place, "copy").catch(() => "")) === "from a");
  await dashboard.shows((status) => status.files_in === 1 && status.frames_out === 1 && status.files_out === 1 && status.last_event === "a");
  await until("the frame arrives", async () => (await far.ask("count")) === 1);
  const [frame] = await far.ask("take");
  assert.match(frame, /^020000000009.{12}88b541$/, "destination and EtherType of the config");

  await far.ask("send", "B");
  await until("a frame answers a frame", async () => (await far.ask("count")) === 1);
  assert.deepEqual(await far.payloads(), ["C"]);
  assert.equal(await textOf(place, "b"), "from B");
  await far.ask("send", "Ä");
  await until("any text, any name", async () => (await textOf(place, "umlaut").catch(() => "")) === "ä\n");
  assert.deepEqual(
    await dashboard.shows((status) => status.last_event === "Ä"),
    { frames_in: 2, frames_out: 2, files_in: 1, files_out: 3, unknown: 0, malformed: 0, foreign: 0, own: 0, errors: 0, overflows: 0, last_event: "Ä", link_up: true },
  );
  await far.ask("send", "ö".repeat(60));
  await dashboard.shows((status) => status.last_event === "ö".repeat(31)); // cut to fit, between two characters
  const { sources } = await askJson(dashboard.observer, "/api/sources");
  assert.deepEqual(sources.map(({ name, state }) => [name, state]), [["relay", "live"]]);
  await relay.stop();
  await until("it said goodbye", async () => (await askJson(dashboard.observer, "/api/sources")).sources[0].reason === "closed");
});

test("own, foreign, unknown and malformed frames are counted and ignored", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  await board.startRelay({ config: configOf(place, ["frame go -> went > state"]) });
  const dashboard = await Dashboard.open(place);
  const [{ address }] = JSON.parse(execFileSync("ip", ["-j", "-n", board.names.near, "link", "show", NEAR]));
  const hex = (text) => Buffer.from(text).toString("hex");
  const [everybody, ours, theirs] = ["ffffffffffff", address.replaceAll(":", ""), "020000000077"];
  const counted = async (frame, counter) => {
    const before = await dashboard.shows((status) => status.link_up);
    await far.ask("raw", frame);
    const after = await dashboard.shows((status) => status[counter] > before[counter]);
    assert.deepEqual(after, { ...before, [counter]: before[counter] + 1 }, frame);
  };
  await counted(`${everybody}${ours}8800${hex("go")}`, "own");
  await counted(`${everybody}${theirs}8800${hex("gone")}`, "unknown");
  await counted(`${everybody}${theirs}8800${hex("g")}`, "unknown");
  await counted(`${everybody}${theirs}8800`, "malformed");
  await counted(`${everybody}${theirs}8800${"00".repeat(46)}`, "malformed");
  await counted(`${everybody}${theirs}8800${hex("go\0go")}`, "malformed");
  await counted(`${everybody}${theirs}8800${hex("go\n")}`, "malformed");
  await counted(`${everybody}${theirs}8800${hex("go")}ff`, "malformed");
  await counted(`${everybody}${theirs}8800${"ff".repeat(1500)}`, "malformed");
  await counted(`${everybody}${theirs}810000078800${hex("go")}`, "foreign"); // of VLAN 7
  await counted(`${theirs}${theirs}8800${hex("go")}`, "foreign"); // for another receiver
  // Of another type: the kernel keeps them away already.
  await far.ask("raw", `${everybody}${theirs}0800${hex("go")}`, `${everybody}${theirs}0003${hex("go")}`);
  // Padding of any length is none of the name's.
  for (const length of [2, 46, 500, 1500]) {
    const before = await dashboard.status();
    await far.ask("raw", `${everybody}${theirs}8800${hex("go")}${"00".repeat(length - 2)}`);
    await dashboard.shows((status) => status.frames_in === before.frames_in + 1 && status.malformed === before.malformed);
  }
  assert.equal(await textOf(place, "state"), "went");
  const before = await dashboard.status();
  await far.ask("raw", `${everybody}${theirs}8100e0008800${hex("go")}`); // of no VLAN, with a priority
  await dashboard.shows((status) => status.frames_in === before.frames_in + 1);
});

test("2,000 frames of noise: each is counted, none is believed, and events still go through", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const relay = await board.startRelay({ config: configOf(place, ["frame go -> went > state"]) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  await far.ask("noise", 2000, 1);
  await dashboard.shows(({ unknown, malformed }) => unknown + malformed === 2000);
  assert.equal((await dashboard.status()).frames_in, 0);
  await far.ask("send", "gone", "went");
  await dashboard.shows(({ unknown, malformed }) => unknown + malformed === 2002);
  assert.equal(lines(relay, /^No route begins with frame ".+": it counts as unknown/).length, 1, "names of unknown frames: the first only");
  await far.ask("send", "go");
  await dashboard.shows((status) => status.frames_in === 1 && status.files_out === 1);
  assert.equal((await relay.stop()).code, 0);
});

test("files that are replaced, deleted and made anew, and a directory that goes and comes, go on working", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const relay = await board.startRelay({ config: configOf(place, ["file a -> frame A", "frame B -> b > b"]) });
  const folder = join(place.directory, "in");
  const sends = async (what, act) => {
    await act();
    await until(`a frame after it was ${what}`, async () => (await far.ask("count")) > 0);
    assert.deepEqual(await far.payloads(), ["A"], what);
  };
  await sends("made", () => put(place, "a"));
  await sends("deleted and made", async () => { await unlink(join(folder, "a")); put(place, "a"); });
  await sends("replaced", async () => { put(place, "new"); await rename(join(folder, "new"), join(folder, "a")); });
  await sends("written after that", () => put(place, "a"));
  await sends("renamed, and another made", async () => { await rename(join(folder, "a"), join(folder, "old")); put(place, "a"); });
  await rename(folder, `${folder}.old`);
  await relay.says(/Directory .*\/in is gone/, "stderr");
  await far.ask("send", "B");
  await relay.says(/routes\[1\]\.then\.file: writing \/.*\/in\/b: No such file or directory\./, "stderr");
  await mkdir(folder);
  await relay.says(/Directory .*\/in is back/, "stderr");
  await sends("in a new directory", () => put(place, "a"));
  await far.ask("send", "B");
  await relay.says(/writing \/.*\/in\/b works again\./, "stderr");
  assert.equal(await textOf(place, "b"), "b");
});

test("the relay's own writing never echoes", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  await board.startRelay({ config: configOf(place, ["frame B -> 1 > b", "file b -> frame wrong", "file a -> 1 > c", "file c -> frame wrong"]) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  await far.ask("burst", 1000, "B");
  for (let i = 0; i < 100; i++) { put(place, "a"); put(place, "x"); }
  const status = await dashboard.shows(({ frames_in: frames, files_in: files }) => frames === 1000 && files === 100);
  assert.equal(status.files_out, 1100);
  assert.equal(status.frames_out, 0);
  put(place, "b");
  await dashboard.shows(({ frames_out: frames }) => frames === 1);
  await until("what somebody else writes does", async () => (await far.ask("count")) === 1);
  assert.deepEqual(await far.payloads(), ["wrong"]);
});

/* ---- bursts ---- */

/** The names of so many files that were closed, once all have been noted. */
async function closings(far, count) {
  const names = [];
  await until(`${count} closings`, async () => names.push(...(await far.ask("closed"))) >= count);
  return names;
}

const turns = (names, count) => Array.from({ length: count }, (_, i) => names[i % names.length]);

test("10,000 events each way between files and Python: none lost, order kept", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const relay = await board.startRelay({ config: configOf(place, names.flatMap((name) => [`file ${name} -> frame ${name}`, `frame ${name}${name} -> ${name} > ${name}${name}`])) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  await far.ask("watch", join(place.directory, "in"), ...names.map((name) => name + name));
  const sent = far.ask("burst", BURST, ...names.map((name) => name + name));
  for (const name of turns(names, BURST)) put(place, name, "");
  assert.equal(await sent, BURST);
  const status = await dashboard.shows(({ frames_in: frames, files_in: files }) => frames === BURST && files === BURST);
  assert.deepEqual(
    { frames_out: status.frames_out, files_out: status.files_out, errors: status.errors, overflows: status.overflows },
    { frames_out: BURST, files_out: BURST, errors: 0, overflows: 0 },
  );
  await until("all frames have come", async () => (await far.ask("count")) >= BURST);
  assert.deepEqual(await far.payloads(), turns(names, BURST));
  assert.deepEqual(await closings(far, BURST), turns(names.map((name) => name + name), BURST), "files were written in the order of the frames");
  assert.equal((await relay.stop()).code, 0);
});

test("10,000 events each way between two relays at once: none lost, order kept", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const names = ["a", "b", "c", "d", "e"];
  const there = names.map((name) => `file ${name} -> frame to-${name}`).concat(names.map((name) => `frame from-${name} -> ${name} > ${name}${name}`));
  const back = names.map((name) => `file ${name} -> frame from-${name}`).concat(names.map((name) => `frame to-${name} -> ${name} > ${name}${name}`));
  await board.startRelay({ config: configOf(place, there, { folder: "near" }) });
  await board.startRelay({ config: configOf(place, back, { folder: "far" }), core: "far" });
  const dashboard = await Dashboard.open(place);
  for (const name of ["relay", "far"]) await dashboard.shows((status) => status.link_up, name);
  const watchers = [];
  for (const folder of ["near", "far"]) {
    const watcher = await board.startFar();
    await watcher.ask("watch", join(place.directory, folder), ...names.map((name) => name + name));
    watchers.push(watcher);
  }
  for (const name of turns(names, BURST)) { put(place, name, "", "near"); put(place, name, "", "far"); }
  for (const name of ["relay", "far"]) {
    const status = await dashboard.shows(({ frames_in: frames, files_in: files }) => frames >= BURST && files >= BURST, name);
    assert.deepEqual(
      [status.frames_in, status.frames_out, status.files_in, status.files_out, status.errors, status.overflows, status.unknown],
      [BURST, BURST, BURST, BURST, 0, 0, 0],
    );
  }
  for (const watcher of watchers) {
    assert.deepEqual(await closings(watcher, BURST), turns(names.map((name) => name + name), BURST));
  }
});

test("a slow interface: the relay waits for room, and nothing is lost", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const slow = ["qdisc", "add", "dev", NEAR, "root", "tbf", "rate", "8mbit", "burst", "2000", "limit", "10000000"];
  const refused = await run("ip", ["netns", "exec", board.names.near, "tc", ...slow]).then(() => undefined, (error) => String(error.stderr).trim());
  if (refused) return t.skip(`no slow interface here: ${refused}`);
  const names = ["a", "b", "c"];
  const relay = await board.startRelay({ config: configOf(place, [...names.map((name) => `file ${name} -> frame ${name.repeat(100)}`), "frame x -> frame y"]) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  const sent = far.ask("burst", 1000, "x");
  for (const name of turns(names, 3000)) put(place, name, "");
  await sent;
  const status = await dashboard.shows(({ frames_in: frames, files_in: files }) => frames === 1000 && files === 3000);
  assert.deepEqual([status.frames_out, status.errors, status.overflows], [4000, 0, 0]);
  await until("all have come", async () => (await far.ask("count")) === 4000);
  const payloads = await far.payloads();
  assert.deepEqual(payloads.filter((payload) => payload !== "y"), turns(names, 3000).map((name) => name.repeat(100)));
  const ticks = await used(relay.pid);
  await sleep(300);
  assert.ok((await used(relay.pid)) - ticks < 50e6, "and it rests again");
  return undefined;
});

test("frames that come while it is stopped: what the kernel has no room for is counted, all else comes in order", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const relay = await board.startRelay({ config: configOf(place, ["frame A -> frame a", "frame B -> frame b"]) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  relay.child.kill("SIGSTOP");
  await far.ask("burst", 2 * BURST, "A", "B");
  relay.child.kill("SIGCONT");
  const status = await dashboard.shows(({ frames_in: frames, overflows }) => frames + overflows === 2 * BURST);
  assert.ok(status.overflows > 0, JSON.stringify(status));
  await until("all have come", async () => (await far.ask("count")) === status.frames_in);
  assert.deepEqual(await far.payloads(), turns(["a", "b"], status.frames_in));
});

test("killed in the middle of a burst: the next one has its name, its files and its interface at once", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const config = configOf(place, ["file a -> frame A", "file b -> frame B", "frame C -> C > c"]);
  const dashboard = await Dashboard.open(place);
  for (let i = 0; i < 3; i++) {
    const relay = await board.startRelay({ config });
    await dashboard.shows((status) => status.link_up && status.frames_in + status.files_in === 0);
    const sent = far.ask("burst", 2000, "C");
    for (const name of turns(["a", "b"], 2000)) put(place, name, "");
    await dashboard.shows((status) => status.frames_in > 0 && status.files_in > 0);
    await relay.stop("SIGKILL");
    await sent;
    const payloads = (await far.payloads()).join("");
    assert.match(payloads, /^(AB)+A?$/, "in order as far as it came");
    await until("what was killed writes a whole text, or the next one does", async () => (await textOf(place, "c")) === "C");
  }
});

test("long frames that wait for room to answer keep their turns", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const slow = ["qdisc", "add", "dev", NEAR, "root", "tbf", "rate", "256kbit", "burst", "2000", "limit", "10000000"];
  const refused = await run("ip", ["netns", "exec", board.names.near, "tc", ...slow]).then(() => undefined, (error) => String(error.stderr).trim());
  if (refused) return t.skip(`no slow interface here: ${refused}`);
  const names = ["a", "b", "c", "d", "e"];
  await board.startRelay({ config: configOf(place, [...names.map((name) => `frame ${name} -> frame ${name.repeat(100)}`), "frame f -> frame y", "file z -> frame z"]) });
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => status.link_up);
  // Its send buffer is full after some 250 frames; from then on each waits.
  const padded = (name) => `ffffffffffff0200000000778800${Buffer.from(name).toString("hex")}`.padEnd(2 * 900, "0");
  const events = turns(names, 600);
  await far.ask("raw", ...events.map(padded));
  await until("all have come", async () => (await far.ask("count")) === events.length, 50);
  assert.deepEqual(await far.payloads(), events.map((name) => name.repeat(100)));
  return undefined;
});

/* ---- the interface ---- */

test("the interface goes down, away and comes back under load: one line each, no busy loop, and events go on", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const relay = await board.startRelay({ config: configOf(place, ["file a -> frame A", "file b -> frame B", "frame C -> c > c"]) });
  const dashboard = await Dashboard.open(place);
  const load = setInterval(() => { for (const name of ["a", "b", "a", "b"]) put(place, name); }, 2);
  t.after(() => clearInterval(load));
  await dashboard.shows((status) => status.link_up && status.frames_out > 20);

  const ways = [
    [() => board.set("near", NEAR, "down"), () => board.set("near", NEAR, "up"), "is down"],
    [() => board.set("far", FAR, "down"), () => board.set("far", FAR, "up"), "has no carrier"],
    [() => board.unplug(), () => board.plug(), "is (not there|down)"],
    [() => board.set("near", NEAR, "down"), () => board.set("near", NEAR, "up"), "is down"],
  ];
  let times = 0;
  for (const [lose, recover, why] of ways) {
    times++;
    lose();
    const before = await dashboard.shows((status) => !status.link_up);
    const down = await dashboard.shows(({ errors }) => errors > before.errors + 10);
    assert.equal(down.frames_out, before.frames_out, `${why}: nothing is taken for sent`);
    recover();
    await dashboard.shows((status) => status.link_up && status.frames_out > down.frames_out + 10);
    assert.equal(lines(relay, /events are lost until it is up/).length, times, relay.stderr);
    assert.equal(lines(relay, /is up: events go through/).length, times, relay.stderr);
    assert.match(lines(relay, /events are lost/).at(-1), new RegExp(`Interface ${NEAR} ${why}:`));
    if (why === "is down") assert.match(lines(relay, /events are lost/).at(-1), new RegExp(`\\(sudo ip link set ${NEAR} up\\)\\.$`));
  }
  clearInterval(load);
  const far = await board.startFar();
  await far.ask("send", "C");
  await until("frames come in, too", async () => (await textOf(place, "c").catch(() => "")) === "c");

  board.unplug();
  await dashboard.shows((status) => !status.link_up);
  const before = await used(relay.pid);
  await sleep(500);
  assert.ok((await used(relay.pid)) - before < 50e6, "it sleeps while there is no interface");
  assert.equal(relay.stderr.split("\n").filter((line) => line !== "").length, 1 + 2 * times + 1, relay.stderr);
  assert.equal((await relay.stop()).code, 0);
});

test("an interface that is not there yet is waited for; one that is no Ethernet is refused", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  board.unplug();
  const relay = await board.startRelay({ config: configOf(place, ["frame C -> c > c"]) });
  assert.match(relay.stderr, new RegExp(`Interface ${NEAR} is not there: events are lost until it is up`));
  board.plug();
  await relay.says(/Interface rpmsg4000 is up: events go through/, "stderr");
  const far = await board.startFar();
  await far.ask("send", "C");
  await until("it is used", async () => (await textOf(place, "c").catch(() => "")) === "c");
  await relay.stop();
  for (const [interfaceName, said] of [["lo", /^lo is no Ethernet interface; ip -br link shows which there are$/m], ["x".repeat(16), /^"x{16}" cannot be the name of a network interface$/m]]) {
    const refused = await board.tryRelay({ interfaceName });
    assert.equal((await refused.ended).code, 2);
    assert.match(refused.stderr, said);
  }
});

test("a relay that is started without standard streams holds nothing in their places", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const relay = await board.tryRelay({ config: configOf(place, ["file a -> frame A"]), before: ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"] });
  await until("it publishes", () => existsSync(place.segment("relay")));
  for (const number of [0, 1, 2]) assert.equal(await readlink(`/proc/${relay.pid}/fd/${number}`), "/dev/null");
});

test("an interface that is renamed is left, and taken again by its name", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const far = await board.startFar();
  const rename = (from, to) => { for (const words of [[from, "down"], [from, "name", to], [to, "up"]]) board.set("near", ...words); };
  const relay = await board.startRelay({ config: configOf(place, ["frame C -> c > c", "frame D -> d > d"]) });
  rename(NEAR, "other");
  await relay.says(/events are lost until it is up/, "stderr");
  await until("it is up by its other name", () => board.isUp("other"));
  const dashboard = await Dashboard.open(place);
  await dashboard.shows((status) => !status.link_up);
  await far.ask("send", "C");
  rename("other", NEAR);
  await relay.says(/is up: events go through/, "stderr");
  await far.ask("send", "D");
  await until("it is used again", async () => (await textOf(place, "d").catch(() => "")) === "d");
  assert.equal(existsSync(join(place.directory, "in/c")), false, "what came by another interface's name was not for us");
  assert.equal(lines(relay, /events are lost/).length, 1, relay.stderr);
});

/* ---- rights, and the service manager ---- */

test("it needs CAP_NET_RAW alone, keeps nothing, and says what is missing without it", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const config = configOf(place, ["frame C -> c > c"]);
  const alone = await board.startRelay({ config, before: ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+net_raw"] });
  const status = await readFile(`/proc/${alone.pid}/status`, "utf8");
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) assert.match(status, new RegExp(`^${set}:\\s+0+$`, "m"));
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  await alone.stop();

  const refused = await board.tryRelay({ before: ["setpriv", "--inh-caps=-all", "--bounding-set=-net_raw"] });
  assert.equal((await refused.ended).code, 2);
  assert.match(refused.stderr, /^CAP_NET_RAW is missing, without which no raw Ethernet socket can be opened \(Operation not permitted\): run it as root, or once: sudo setcap cap_net_raw\+ep \/.*omni-relay/);

  // Root's right to write everywhere is gone, too: found at the start, and not with the first event.
  await mkdir(join(place.directory, "foreign"));
  execFileSync("chown", ["nobody", join(place.directory, "foreign")]);
  const udrv = { file: { "ihub-irq-dev": { path: join(place.directory, "foreign/irq") } } };
  await writeFile(join(place.directory, "udrv.json"), JSON.stringify(udrv));
  const late = await board.tryRelay({ args: [NEAR], env: { UDRV_JSON_PATH: "udrv.json" } });
  assert.equal((await late.ended).code, 2);
  await mkdir(join(place.directory, "hidden/in"), { recursive: true });
  execFileSync("sh", ["-c", "chmod 777 hidden/in && chown nobody hidden && chmod 711 hidden"], { cwd: place.directory });
  const hidden = await board.startRelay({ config: configOf(place, ["frame C -> c > c", "file a -> frame A"], { folder: "hidden/in" }) });
  const far = await board.startFar();
  put(place, "a", "", "hidden/in");
  await until("a directory in one that cannot be looked into works", async () => (await far.ask("count")) === 1);
  assert.doesNotMatch(hidden.stderr, /cannot write/);
  await hidden.stop();
  const shut = await board.startRelay({ config: configOf(place, ["frame C -> c > c"], { folder: "foreign" }) });
  assert.match(shut.stderr, /near\.json: routes\[0\]\.then\.file: cannot write \/.*\/foreign: Permission denied; as root, too, .*: chown or chmod$/m);
  await far.ask("send", "C");
  await shut.says(/^routes\[0\]\.then\.file: writing \/.*\/foreign\/c: Permission denied\.$/m, "stderr");
  await shut.stop();
  writeFileSync(join(place.directory, "foreign/c"), "");
  execFileSync("chmod", ["666", join(place.directory, "foreign/c")]);
  const open = await board.startRelay({ config: configOf(place, ["frame C -> c > c"], { folder: "foreign" }) });
  assert.doesNotMatch(open.stderr, /cannot write/, "the file itself may be written");
  await open.stop();
  assert.match(late.stderr, /^udrv\.json: file\.ihub-irq-dev\.path: cannot make the directory: Permission denied; type: sudo install -d -o USER \/.*foreign\/irq, with the relay's user$/m);
});

test("a service manager hears: ready, alive from the event loop, stopping; a second relay of that name is refused", cores, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const manager = await startManager(place);
  const config = configOf(place, ["frame C -> c > c"]);
  const relay = await board.startRelay({ config, env: manager.environment(0.4) });
  await manager.hears("WATCHDOG=1", 3);
  assert.equal(manager.heard[0].text, `READY=1|STATUS=1 routes between ${NEAR} and ${config.directory}`);
  relay.child.kill("SIGSTOP");
  assert.equal(await manager.listens("WATCHDOG=1", 1000), 0);
  relay.child.kill("SIGCONT");
  const second = await board.tryRelay();
  assert.equal((await second.ended).code, 2);
  assert.match(second.stderr, /relay.*process \d+/);
  await relay.stop("SIGINT");
  await until("it says that it is stopping", () => manager.count("STOPPING=1") === 1);
});

const lacksS6 = process.env.PATH.split(":").some((folder) => existsSync(join(folder, "s6-svscan"))) ? undefined : "there is no s6-svscan (scripts/deps test)";
const isOwn = /build\/[^/-]+$/.test(BUILD) ? undefined : "its run files start programs as they are";

test("s6 runs it: ready when it listens, with one right to start with", { ...cores, skip: skip ?? lacksS6 ?? isOwn }, async (t) => {
  const place = await openPlace(t);
  const board = await openCores(t, place);
  const scan = join(place.directory, "scan");
  const moves = [
    ["/usr/local/bin/", `${BUILD}/`], ["/etc/omniscient", place.directory], ["/run/omni-relay", join(place.directory, "in")], ["/var/log/omniscient", join(place.directory, "said")],
    ["--reuid omni-relay --regid omni-relay --init-groups ", ""], ["s6-setuidgid omni-relay ", ""], [/ -[og] omni-relay/g, ""], // a user that is not made here
  ];
  await cp(join(ROOT, "packaging/s6/omni-relay"), join(scan, "omni-relay"), { recursive: true });
  for (const file of ["run", "log/run"]) {
    const path = join(scan, "omni-relay", file);
    const text = await readFile(path, "utf8");
    await writeFile(path, moves.reduce((changed, [from, to]) => changed.replaceAll(from, to), text));
  }
  await writeFile(join(place.directory, "relay.json"), JSON.stringify(configOf(place, ["frame C -> c > c"])));
  await writeFile(join(place.directory, "relay.conf"), `OPTIONS='--interface ${NEAR} --config ${place.directory}/relay.json'\n`);
  const program = board.spawn("near", ["s6-svscan", scan], { name: "s6-svscan" });
  const service = join(scan, "omni-relay");
  try {
    await until("it is supervised", () => run("s6-svok", [service]).then(() => true, () => false));
    await run("s6-svwait", ["-U", "-t", "30000", service]);
    const far = await board.startFar();
    await far.ask("send", "C");
    await until("events go through", async () => (await textOf(place, "c").catch(() => "")) === "c");
    const pid = (await run("s6-svstat", ["-o", "pid", service])).stdout.trim();
    assert.match(await readFile(`/proc/${pid}/status`, "utf8"), /^CapBnd:\s+0000000000002000$/m);
    await until("its log is written", async () => /Relay "relay" runs/.test(await readFile(join(place.directory, "said/relay/current"), "utf8").catch(() => "")));
  } finally {
    await run("s6-svscanctl", ["-t", scan]);
    await program.ended;
  }
});

/* ---- the config ---- */

const dryRun = (place, ...words) => {
  const args = [BUILD, join(BUILD, "omni-relay"), "--dry-run", ...words];
  return run(join(ROOT, "scripts/launch"), args, { cwd: place.directory, env: { ...process.env, UDRV_JSON_PATH: "" } }).then(({ stdout }) => ({ code: 0, stdout, stderr: "" }), (error) => error);
};

test("the example is what the docs show, and is taken", async (t) => {
  const example = await readFile(join(ROOT, "examples/relay.json"), "utf8");
  assert.ok((await readFile(join(ROOT, "docs/relay.md"), "utf8")).includes(`\n${example}`));
  const { stdout } = await dryRun(await openPlace(t), "--interface", NEAR, "--config", join(ROOT, "examples/relay.json"));
  assert.match(stdout, /^directory {4}\/run\/omni-relay\nfile "message_6_trig" -> frame "redun_notify_irq"\n/m);
});

test("--dry-run prints the routes, and opens nothing; what is wrong is told with its place", async (t) => {
  const place = await openPlace(t);
  const file = join(place.directory, "relay.json");
  const config = configOf(place, ["file a -> frame A", "frame B -> 1 > b"]);
  await writeFile(file, JSON.stringify(config));
  const { stdout } = await dryRun(place, "--interface", NEAR, "--config", "relay.json");
  assert.equal(stdout, [`interface    ${NEAR}`, "ethertype    0x8800", "destination  ff:ff:ff:ff:ff:ff", `directory    ${config.directory}`,
    'file "a" -> frame "A"', 'frame "B" -> write "1" to file "b"', ""].join("\n"));
  assert.equal(existsSync(config.directory), false);
  const wrong = [
    [{ ...config, route: [] }, 'relay.json: unknown key "route"; there are: directory, ethertype, destination, routes\n'],
    [configOf(place, ["file a -> frame A", "frame A -> 1 > a"]), 'relay.json: routes[1].then.file: a loop: "a" leads back to where it comes from (routes[0].when.file)\n'],
    [configOf(place, ["file /etc/passwd -> frame A"]), 'relay.json: routes[0].when.file: "/etc/passwd" must be the name of a file in the directory, no path\n'],
  ];
  for (const [text, said] of wrong) {
    await writeFile(file, JSON.stringify(text));
    const { code, stderr } = await dryRun(place, "--config", "relay.json");
    assert.deepEqual([code, stderr], [2, said]);
  }
});

test("120 spoilt configs: each is taken or refused with a sentence", { timeout: 120_000 }, async (t) => {
  const place = await openPlace(t);
  const file = join(place.directory, "relay.json");
  const whole = JSON.stringify(configOf(place, ["file a -> frame A", "frame B -> 1 > b", "frame C -> frame D"], { keys: { ethertype: "0x8800", destination: "ff:ff:ff:ff:ff:ff" } }));
  let seed = 7;
  const chance = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const spoil = {
    cut: (text) => text.slice(0, chance(text.length)),
    swap: (text) => text.replace(/"\w+"/g, (word) => (chance(6) === 0 ? ["1", "null", "[]", "{}", '"routes"', '""', "1e999", "true"][chance(8)] : word)),
    byte: (text) => { const at = chance(text.length); return text.slice(0, at) + String.fromCharCode(1 + chance(126)) + text.slice(at + 1); },
    twice: (text) => { const at = chance(text.length); return text.slice(0, at + chance(40)) + text.slice(at); },
  };
  const verdicts = { 0: 0, 2: 0 };
  for (let i = 0; i < 120; i++) {
    const text = Object.values(spoil)[i % 4](whole);
    await writeFile(file, text);
    const { code, signal, stderr } = await dryRun(place, "--config", "relay.json");
    assert.ok(code === 0 || (code === 2 && /^relay\.json: .+\n$/.test(stderr)), `${code} ${signal} ${stderr} ${text}`);
    verdicts[code]++;
  }
  assert.ok(verdicts[2] > 80, JSON.stringify(verdicts));
});
