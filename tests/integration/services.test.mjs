// Robot and observer as services: what they tell the service manager, and how they are started by it. systemd cannot run
// here as what it is, the first process; its programs that need no such place are used where they do the job:
// systemd-notify, systemd-socket-activate, systemd-analyze.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { connect as dial } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { freePort } from "./machine.mjs";
import { startManager } from "./manager.mjs";
import { ask, askJson, run } from "./raw.mjs";
import { BUILD, Program, ROOT, openPlace, until } from "./support.mjs";

const WATCHDOG_S = 0.4;
const QUIET_MS = 1500; // more than three times the watchdog's interval
const RECORDER = join(BUILD, "tests/drivers/recorder.so");

const folders = process.env.PATH.split(":");
const lacks = (command) => (folders.some((folder) => existsSync(join(folder, command))) ? undefined : `there is no ${command} (scripts/deps test)`);

test("a manager hears of a robot: ready once it has published, alive, stopping", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const robot = await place.startRobot({ args: ["--tick-hz", "200"], env: manager.environment(WATCHDOG_S) });
  await manager.hears("WATCHDOG=1", 5);
  await robot.stop();
  await until("it says that it is stopping", () => manager.count("STOPPING=1"));
  const [first, ...others] = manager.heard;
  assert.equal(first.text, "READY=1|STATUS=robot: 200 ticks a second, board sim");
  assert.ok(others.slice(0, -1).every(({ text }) => text === "WATCHDOG=1"), JSON.stringify(others));
  assert.equal(others.at(-1).text, "STOPPING=1");
  assert.ok(manager.heard.every(({ pid }) => pid === robot.pid), "it speaks itself: NotifyAccess=main is enough");
});

test("what systemd-notify says arrives as the robot's words do", { skip: lacks("systemd-notify") }, async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  await run("systemd-notify", ["--ready", "--status=robot: 200 ticks a second, board sim"], { env: { ...process.env, ...manager.environment() } });
  await until("it is heard", () => manager.heard.length > 0);
  assert.equal(manager.heard[0].text, "READY=1|STATUS=robot: 200 ticks a second, board sim");
});

test("a robot without a watchdog says nothing between ready and stopping; without a manager it runs as ever", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const robot = place.start("omni-robot", ["--directory", place.directory, "--ticks", "50"], { env: manager.environment() });
  assert.deepEqual(await robot.ended, { code: 0, signal: null });
  await until("it has stopped", () => manager.count("STOPPING=1"));
  assert.deepEqual(manager.heard.map(({ text }) => text), ["READY=1|STATUS=robot: 100 ticks a second, board sim", "STOPPING=1"]);
  const gone = place.start("omni-robot", ["--directory", place.directory, "--ticks", "50"], { env: { NOTIFY_SOCKET: join(place.directory, "nobody"), WATCHDOG_USEC: "1000000" } });
  assert.deepEqual(await gone.ended, { code: 0, signal: null });
});

/** A robot with the recording driver; `driver.log` is what the driver wrote, `driver.file(name)` switches it. */
async function startDriven(place, manager, args = []) {
  const robot = await place.startRobot({
    args: ["--board", `driver:${RECORDER}`, "--driver-config", place.directory, ...args],
    env: manager.environment(WATCHDOG_S),
  });
  await manager.hears("WATCHDOG=1", 2);
  return { robot, log: () => readFile(join(place.directory, "log"), "utf8") };
}

test("a loop that hangs feeds no more: its driver does not return", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const { robot, log } = await startDriven(place, manager);
  await writeFile(join(place.directory, "hang"), "");
  await until("the driver hangs", async () => (await log()).includes("hang"));
  assert.equal(await manager.listens("WATCHDOG=1", QUIET_MS), 0);
  assert.ok(robot.isRunning, "it is there, and hangs: only the watchdog can tell");
});

test("a driver that hangs in a process of its own is no hang of the loop", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const { robot, log } = await startDriven(place, manager, ["--isolate-driver"]);
  const host = Number(/^(\d+) open/m.exec(await log())[1]);
  assert.notEqual(host, robot.pid);
  const environment = await readFile(`/proc/${host}/environ`, "latin1");
  assert.doesNotMatch(environment, /NOTIFY_SOCKET|WATCHDOG/, "what is the robot's to say, its children cannot");
  await writeFile(join(place.directory, "hang"), "");
  await until("the driver hangs", async () => (await log()).includes("hang"));
  await manager.hears("WATCHDOG=1", 5);
});

test("a robot that is paused feeds no more, and again when it goes on", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const robot = await place.startRobot({ env: manager.environment(WATCHDOG_S) });
  await manager.hears("WATCHDOG=1", 2);
  robot.child.kill("SIGSTOP");
  assert.equal(await manager.listens("WATCHDOG=1", QUIET_MS), 0);
  robot.child.kill("SIGCONT");
  await manager.hears("WATCHDOG=1", 2);
});

test("a manager hears of an observer: ready once its port answers, alive from its event loop, stopping", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const observer = await place.startObserver({ args: ["--require-token", "always"], env: manager.environment(WATCHDOG_S) });
  await manager.hears("WATCHDOG=1", 5);
  observer.child.kill("SIGSTOP");
  assert.equal(await manager.listens("WATCHDOG=1", QUIET_MS), 0);
  observer.child.kill("SIGCONT");
  await manager.hears("WATCHDOG=1", 2);
  await observer.stop();
  await until("it says that it is stopping", () => manager.count("STOPPING=1"));
  assert.equal(manager.heard[0].text, `READY=1|STATUS=answers at ${observer.address}`, "and no token: everybody may ask for the status");
  assert.equal(manager.heard.at(-1).text, "STOPPING=1");
  assert.ok(manager.heard.every(({ pid }) => pid === observer.pid));
});

test("an observer without a watchdog says ready and stopping; one that cannot start says neither", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const observer = await place.startObserver({ env: manager.environment() });
  await until("it is ready", () => manager.heard.length === 1);
  const second = place.start("omni-observer", ["--directory", place.directory, "--listen", observer.address], { env: manager.environment(WATCHDOG_S) });
  assert.equal((await second.ended).code, 2);
  await observer.stop();
  await until("it has stopped", () => manager.count("STOPPING=1"));
  assert.deepEqual(manager.heard.map(({ pid, text }) => [pid, text]), [[observer.pid, `READY=1|STATUS=answers at ${observer.address}`], [observer.pid, "STOPPING=1"]]);
});

test("a watchdog that no robot could feed is refused, with what to type", async (t) => {
  const place = await openPlace(t);
  const manager = await startManager(place);
  const cases = [
    [["--tick-hz", "1"], /The watchdog's 0\.400 s are too short for 1 ticks a second: set WatchdogSec=/],
    [["--lockstep"], /--lockstep waits for its consumer .* set WatchdogSec=0/],
  ];
  for (const [args, pattern] of cases) {
    const robot = place.start("omni-robot", ["--directory", place.directory, ...args], { env: manager.environment(WATCHDOG_S) });
    assert.deepEqual(await robot.ended, { code: 2, signal: null });
    assert.match(robot.stderr, pattern);
  }
  assert.deepEqual(manager.heard, []);
});

/* ---- the port, opened by another ---- */

const OBSERVER = [join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-observer")];

/** systemd-socket-activate: listens as it is told, and becomes the command when somebody comes. */
function activate(place, listen, command) {
  const child = spawn("systemd-socket-activate", [...listen, ...command], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, HOME: place.directory } });
  const program = new Program(child, "systemd-socket-activate");
  place.programs.push(program);
  return program;
}

const serve = (place, ...more) => [...OBSERVER, "serve", "--directory", place.directory, "--token-file", join(place.directory, "token"), "--listen", "127.0.0.1:1", ...more];
const activating = { skip: lacks("systemd-socket-activate") };

/** The answer, once there is somebody to answer. */
const answered = (observer, path) => until(`${observer.url} answers`, () => ask(observer, path).catch(() => undefined));

test("the first visitor starts an observer whose port systemd holds; --listen does not count then", activating, async (t) => {
  const place = await openPlace(t);
  await place.startRobot();
  const address = `127.0.0.1:${await freePort()}`;
  const program = activate(place, ["--listen", address], serve(place));
  const { status, text } = await answered({ url: `http://${address}` }, "/api/sources");
  assert.equal(status, 200, "loopback needs no token, however it was opened");
  assert.deepEqual(JSON.parse(text).sources.map(({ name }) => name), ["robot"]);
  await program.says(new RegExp(`^http://${address}/$`, "m"));
  assert.deepEqual(await program.stop(), { code: 0, signal: null });
});

test("what it was handed over decides who must show the token, not what --listen says", activating, async (t) => {
  const place = await openPlace(t);
  const port = await freePort();
  const program = activate(place, ["--listen", `0.0.0.0:${port}`], serve(place));
  const observer = { url: `http://127.0.0.1:${port}` };
  assert.equal((await answered(observer, "/api/sources")).status, 401);
  const token = (await readFile(join(place.directory, "token"), "utf8")).trim();
  await askJson(observer, "/api/sources", { headers: { authorization: `Bearer ${token}` } });
  await program.stop();

  const refused = activate(place, ["--listen", `0.0.0.0:${port}`], serve(place, "--require-token", "never"));
  await until("somebody comes", () => { dial(port, "127.0.0.1").on("error", () => {}).unref(); return !refused.isRunning; }, 100);
  assert.equal((await refused.ended).code, 2);
  assert.match(refused.stderr, new RegExp(`--require-token never would show the robots to the whole network at 0\\.0\\.0\\.0:${port}`));
});

test("a port that is held outlives the observer: visitors wait while it restarts, nobody is refused", activating, async (t) => {
  const place = await openPlace(t);
  const address = `127.0.0.1:${await freePort()}`;
  const observer = { url: `http://${address}` };
  // What systemd does with a socket unit: it keeps the socket, and hands it to one life of the service after the other.
  const lives = `while IFS= read -r go; do sh -c 'echo "life $$" && LISTEN_PID=$$ exec "$@"' life "$@"; echo "over"; done`;
  const program = activate(place, ["--listen", address], ["sh", "-c", lives, "lives", ...serve(place)]);
  program.child.stdin.write("go\n");
  assert.equal((await answered(observer, "/api/sources")).status, 200);
  const [, first] = await program.says(/life (\d+)/);
  process.kill(Number(first), "SIGKILL");
  await program.says(/over/);
  const waiting = ask(observer, "/api/sources");
  program.child.stdin.write("go\n");
  assert.equal((await waiting).status, 200);
  const [, second] = await program.says(/life \d+[^]*life (\d+)/);
  assert.notEqual(second, first);
  process.kill(Number(second), "SIGTERM");
  await program.says(/over[^]*over/);
  program.child.stdin.end();
  await program.ended;
});

test("a socket of another kind is refused, with what to write", activating, async (t) => {
  const place = await openPlace(t);
  const port = await freePort();
  const path = join(place.directory, "visitors.sock");
  const kinds = [
    [["--listen", path], () => dial(path).unref()],
    [["--listen", `127.0.0.1:${port}`, "--datagram"], () => { const socket = createSocket("udp4"); socket.send("?", port, "127.0.0.1", () => socket.close()); }],
  ];
  for (const [listen, come] of kinds) {
    const program = activate(place, listen, serve(place));
    await until("somebody comes", () => { come()?.on?.("error", () => {}); return !program.isRunning; }, 100);
    assert.equal((await program.ended).code, 2, program.stderr);
    assert.match(program.stderr, /descriptor 3\) is no TCP socket that listens; in the \.socket unit write ListenStream=/);
  }
});

test("sockets that are for another process, or are not there, are not taken", async (t) => {
  const place = await openPlace(t);
  await place.startObserver({ env: { LISTEN_PID: "1", LISTEN_FDS: "1" } });
  const cases = [["no", "1", /LISTEN_PID=no: not a process/], ["$$", "many", /LISTEN_FDS=many: not a number of sockets/], ["$$", "60", /LISTEN_FDS=60: so many descriptors are not open/]];
  for (const [pid, count, pattern] of cases) {
    const child = spawn("sh", ["-c", `LISTEN_PID=${pid} LISTEN_FDS=${count} exec "$@"`, "sh", ...serve(place)], { stdio: ["ignore", "pipe", "pipe"] });
    const program = new Program(child, "omni-observer");
    place.programs.push(program);
    assert.equal((await program.ended).code, 2);
    assert.match(program.stderr, pattern);
  }
});

/* ---- the units ---- */

const UNITS = join(ROOT, "packaging/systemd");
const analysing = { skip: lacks("systemd-analyze") };

/** The units in a folder of the test's own, with the programs that were built here. */
async function unitsHere(place, change = (text) => text) {
  const folder = join(place.directory, "units");
  await mkdir(folder, { recursive: true });
  const names = (await readdir(UNITS)).filter((name) => /\.(service|socket)$/.test(name));
  for (const name of names) await writeFile(join(folder, name), change((await readFile(join(UNITS, name), "utf8")).replaceAll("/usr/local/bin/", `${BUILD}/`)));
  return names.map((name) => join(folder, name));
}

/** What systemd-analyze says, and whether it is content. */
async function analyse(...words) {
  const { stdout, stderr, code = 0 } = await run("systemd-analyze", words, { env: { ...process.env, SYSTEMD_LOG_LEVEL: "warning" } }).catch((error) => error);
  return { code, said: stdout + stderr };
}

test("systemd finds nothing wrong with the units", analysing, async (t) => {
  const files = await unitsHere(await openPlace(t));
  assert.deepEqual(files.map((file) => file.replace(/.*\//, "")).sort(), ["omni-observer.service", "omni-observer.socket", "omni-relay.service", "omni-robot.service"]);
  assert.deepEqual(await analyse("verify", "--man=no", "--recursive-errors=no", ...files), { code: 0, said: "" });
});

const OBSERVERS_BOUND = 19; // "under 2.0", in tenths
const ROBOTS_BOUND = 20; // with its devices, real time and emulators for drivers
const RELAYS_BOUND = 19;

test("no unit leaves open what systemd-analyze counts: observer under 2.0; and a looser one would be found", analysing, async (t) => {
  const place = await openPlace(t);
  const security = (file, bound) => analyse("security", "--offline=true", "--no-pager", `--threshold=${bound}`, file);
  const fileOf = (files, name) => files.find((file) => file.endsWith(`/${name}.service`));
  let files = await unitsHere(place);
  for (const [name, bound] of [["omni-observer", OBSERVERS_BOUND], ["omni-robot", ROBOTS_BOUND], ["omni-relay", RELAYS_BOUND]]) {
    const { code, said } = await security(fileOf(files, name), bound);
    assert.equal(code, 0, said);
    assert.match(said, /Overall exposure level for omni-\w+\.service: [\d.]+/);
  }
  files = await unitsHere(place, (text) => text.replace(/^(SystemCallFilter|ProtectSystem)=.*\n/gm, ""));
  assert.notEqual((await security(fileOf(files, "omni-observer"), OBSERVERS_BOUND)).code, 0);
});

test("no unit wants, follows or ends the other", async () => {
  const bonds = /^(Requires|Wants|BindsTo|PartOf|Upholds|Requisite|Conflicts|PropagatesStopTo|After|Before)=.*omni-/m;
  for (const name of ["omni-robot.service", "omni-observer.service", "omni-observer.socket", "omni-relay.service"])
    assert.doesNotMatch(await readFile(join(UNITS, name), "utf8"), bonds, name);
});

/* ---- the journal ---- */

/** Runs a program whose standard error is a file that it takes for the journal, or not. Returns the lines. */
async function journalOf(place, words, { isJournal = true, until: end } = {}) {
  const file = join(place.directory, `journal-${place.programs.length}`);
  const script = `exec 2>"$0"; [ -z "$1" ] || export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); shift; exec "$@"`;
  const child = spawn("sh", ["-c", script, file, isJournal ? "yes" : "", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const program = new Program(child, words.join(" "));
  place.programs.push(program);
  const read = async () => (await readFile(file, "utf8").catch(() => "")).split("\n").slice(0, -1);
  if (end) {
    await until(`the journal has ${end}`, async () => (await read()).some((line) => end.test(line)));
    await program.stop();
  }
  await program.ended;
  return read();
}

const robotIn = (place, ...args) => [join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-robot"), "--directory", place.directory, ...args];

test("the journal is told how grave a line is, and nobody else is", async (t) => {
  const place = await openPlace(t);
  const grades = (lines) => lines.map((line) => line.slice(0, 3));
  assert.deepEqual(grades(await journalOf(place, robotIn(place, "--ticks", "5"))), ["<6>", "<6>"], "how a robot goes is no warning");
  assert.deepEqual(grades(await journalOf(place, robotIn(place, "--board", "none"))), ["<3>"]);
  const plain = await journalOf(place, robotIn(place, "--ticks", "5"), { isJournal: false });
  assert.match(plain[0], /^Robot "robot" runs/);
  await writeFile(join(place.directory, "crash"), "");
  const driver = ["--board", `driver:${RECORDER}`, "--driver-config", place.directory, "--isolate-driver"];
  const lines = await journalOf(place, robotIn(place, ...driver), { until: /next try/ });
  assert.ok(lines.every((line) => /^<[346]>/.test(line)), lines.join("\n"));
  assert.match(lines.find((line) => /next try/.test(line)), /^<4>Driver /, "it goes on, and somebody should look");
  assert.match(lines.find((line) => /open in process/.test(line)), /^<6>Driver /);
});

test("the observer's words are graded, too", async (t) => {
  const place = await openPlace(t);
  const link = join(place.directory, "omni.broken");
  await writeFile(link, Buffer.alloc(4096, 1));
  const lines = await journalOf(place, [...OBSERVER, "serve", "--directory", place.directory, "--listen", "127.0.0.1:0"], { until: /source broken cannot be shown/ });
  assert.match(lines.find((line) => /source broken/.test(line)), /^<4>source broken cannot be shown: /);
  const [refusal] = await journalOf(place, [...OBSERVER, "serve", "--directory", place.directory, "--listen", "nowhere:1"]);
  assert.match(refusal, /^<3>/);
});

/* ---- those who have no systemd ---- */

/** The s6 service directories with the programs that were built here, and settings in the test's own place. */
async function s6Here(place) {
  const scan = join(place.directory, "scan");
  const moves = [
    ["/usr/local/bin/", `${BUILD}/`], ["/etc/omniscient", place.directory], ["/var/lib/omniscient", place.directory], ["/var/log/omniscient", join(place.directory, "said")],
    [/s6-setuidgid omni-\w+ /g, ""], [/ -o omni-\w+/g, ""], // users that are not made here
  ];
  for (const name of ["omni-robot", "omni-observer"]) {
    await cp(join(ROOT, "packaging/s6", name), join(scan, name), { recursive: true });
    for (const file of ["run", "log/run"]) {
      const path = join(scan, name, file);
      const text = await readFile(path, "utf8");
      assert.match(text, new RegExp(`exec s6-setuidgid ${name} `), `${name}/${file} has a user of its own`);
      await writeFile(path, moves.reduce((changed, [from, to]) => changed.replaceAll(from, to), text));
    }
  }
  return scan;
}

test("the settings' examples mean the same to systemd and to sh, by which s6 reads them", async (t) => {
  const place = await openPlace(t);
  const texts = await Promise.all(["robot.conf", "relay.conf"].map((name) => readFile(join(UNITS, name), "utf8")));
  const examples = texts.flatMap((text) => text.match(/(?<=^#)OPTIONS=.*/gm));
  assert.equal(examples.length, 4);
  for (const example of examples) {
    const file = join(place.directory, "robot.conf");
    await writeFile(file, `${example}\n`);
    const { stdout, stderr } = await run("sh", ["-c", `. ${file} || exit 1; printf %s "$OPTIONS"`]);
    assert.deepEqual([stdout, stderr], [/^OPTIONS='([^']*)'$/.exec(example)[1], ""]);
  }
});

test("s6 runs both: ready when they are, each restarted alone, what they say kept", { skip: lacks("s6-svscan") ?? (/build\/[^/-]+$/.test(BUILD) ? undefined : "its run files start programs as they are") }, async (t) => {
  const place = await openPlace(t);
  const scan = await s6Here(place);
  const address = `127.0.0.1:${await freePort()}`;
  await writeFile(join(place.directory, "robot.conf"), `OPTIONS='--directory ${place.directory} --tick-hz 200'\n`);
  await writeFile(join(place.directory, "observer.conf"), `OMNI_DIRECTORY=${place.directory}\nOMNI_LISTEN=${address}\nOMNI_TRUST=\n`);
  const program = new Program(spawn("s6-svscan", [scan], { stdio: ["ignore", "pipe", "pipe"] }), "s6-svscan");
  const end = async () => {
    await run("s6-svscanctl", ["-t", scan]);
    return program.ended;
  };
  await superviseBoth(place, scan, address).finally(end);
});

async function superviseBoth(place, scan, address) {
  const idOf = async (name) => (await run("s6-svstat", ["-o", "pid", join(scan, name)])).stdout.trim();
  const ready = async (name) => {
    await until(`${name} is supervised`, () => run("s6-svok", [join(scan, name)]).then(() => true, () => false));
    await run("s6-svwait", ["-U", "-t", "30000", join(scan, name)]);
    return idOf(name);
  };
  const robot = await ready("omni-robot");
  const bytes = await readFile(place.segment("robot"));
  assert.equal(String(bytes.readUInt32LE(100)), robot, "ready: it has published");
  const observer = await ready("omni-observer");
  const { sources } = await askJson({ url: `http://${address}` }, "/api/sources");
  assert.deepEqual(sources.map(({ name, state }) => [name, state]), [["robot", "live"]]);

  await run("s6-svc", ["-wR", "-r", join(scan, "omni-observer")]);
  assert.notEqual(await ready("omni-observer"), observer);
  assert.equal(await idOf("omni-robot"), robot, "restarting one never touches the other");
  const second = await idOf("omni-observer");
  process.kill(Number(robot), "SIGKILL");
  await until("the robot is back", async () => ![robot, "-1"].includes(await idOf("omni-robot")));
  await ready("omni-robot");
  assert.equal(await idOf("omni-observer"), second);
  const said = await until("its log is written", () => readFile(join(place.directory, "said/robot/current"), "utf8").catch(() => undefined));
  assert.match(said, /Robot "robot" runs: 200 ticks a second/);
}

test("tmpfiles: the folder for sockets is made, and no line is misunderstood", { skip: lacks("systemd-tmpfiles") }, async (t) => {
  const place = await openPlace(t);
  const text = await readFile(join(UNITS, "omniscient.tmpfiles"), "utf8");
  // Its user is not made here.
  await writeFile(join(place.directory, "omniscient.conf"), text.replace(/omni-observer omni-observer/, "- -"));
  const { stderr } = await run("systemd-tmpfiles", ["--create", `--root=${place.directory}`, join(place.directory, "omniscient.conf")]);
  assert.equal(stderr, "");
  assert.equal((await stat(join(place.directory, "run/omniscient"))).mode & 0o7777, 0o755);
});
