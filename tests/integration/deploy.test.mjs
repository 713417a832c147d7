// make deploy: programs and units go to another machine through ssh and run there. The ssh server is a real one, and so
// are the programs; the machine is made of this one, and its systemctl is a stand-in (machine.mjs says what it does).

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os"; // not in /dev/shm: each machine has one of its own
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { breakAfter, freePort, lackingForMachines, startMachine } from "./machine.mjs";
import { ask, run } from "./raw.mjs";
import { BUILD, Program, openPlace, until } from "./support.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAMS = ["omni-robot", "omni-observer"];
const FILES = [...PROGRAMS, "omni-driver-host"];
const IS_OWN = /build\/[^/-]+$/.test(BUILD);
const MACHINE_OFFSET = 18; // of e_machine in an ELF header
const AARCH64 = 183;
const options = { timeout: 240_000, skip: lackingForMachines() };

/** Runs scripts/deploy, or with `make` what a person types; returns its exit code and all that it said. */
async function deploy(machine, variables = {}, { to = "root@robot", make = false } = {}) {
  const words = JSON.parse(JSON.stringify({ SSH: `ssh -F ${machine.config}`, BUILD, ...variables })); // what is undefined is gone
  const child = make
    ? spawn("make", ["-C", ROOT, "--no-print-directory", "deploy", `HOST=${to}`, ...Object.entries(words).map(([name, value]) => `${name}=${value}`)], { stdio: ["ignore", "pipe", "pipe"] })
    : spawn(join(ROOT, "scripts/deploy"), [to], { env: { ...process.env, ARCH: "", SUITE: "", PORT: "", LISTEN: "", ...words }, stdio: ["ignore", "pipe", "pipe"] });
  const program = new Program(child, "deploy");
  const { code } = await program.ended;
  return { code, said: program.stdout + program.stderr };
}

/** A build folder with programs like those here, changed: { "omni-robot": (bytes) => bytes } */
async function otherBuild(place, name, changes) {
  const folder = join(place.directory, name);
  await mkdir(folder);
  for (const program of FILES) {
    const file = join(folder, program);
    await copyFile(join(BUILD, program), file);
    if (changes[program]) await writeFile(file, changes[program](await readFile(file)));
  }
  return folder;
}

/** Another version: what follows an ELF file's end is of no account to what it does. */
const newer = (bytes) => Buffer.concat([bytes, Buffer.from("newer")]);

/** The robot's status from the observer there, which shares this machine's loopback. */
async function live(observer, accept = () => true) {
  return until("the dashboard there shows the robot", async () => {
    const headers = observer.token ? { authorization: `Bearer ${observer.token}` } : {};
    const answer = await ask(observer, "/api/sources", { headers }).catch(() => undefined);
    const robot = answer?.status === 200 && JSON.parse(answer.text).sources.find(({ name }) => name === "robot");
    return robot && robot.state === "live" && accept(robot) && robot;
  });
}

const leftovers = (machine) => machine.ask("ls -A $TMPDIR; find /usr/local /etc/systemd /etc/omniscient -name '*.new' 2>/dev/null; true");

test("deploying: first, again, an upgrade, a broken connection", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  const machine = await startMachine(t, place);
  const address = `127.0.0.1:${await freePort()}`;
  const observer = { url: `http://${address}` };
  let before;

  await t.test("the first time, both are installed, start, and the dashboard shows the robot", async () => {
    const { code, said } = await deploy(machine, { LISTEN: address }, { make: true });
    assert.equal(code, 0, said);
    assert.deepEqual(await machine.requests(), [
      "daemon-reload", ...PROGRAMS.flatMap((name) => [`enable --quiet ${name}`, `restart ${name}`]),
    ]);
    assert.match(said, new RegExp(`ssh -N -L ${address.split(":")[1]}:${address} root@robot`), "says how to look");
    before = await machine.processes();
    assert.equal(String((await live(observer)).process), before["omni-robot"]);
    const owners = await machine.ask("stat -c %U /dev/shm/omni.robot /proc/$(cat /run/stand-in/omni-observer.pid)");
    assert.deepEqual(owners.split("\n"), PROGRAMS, "each is a user of its own, and the observer trusts the robot's");
    assert.equal(await machine.ask("stat -c '%A %U' /usr/local/bin/omni-robot"), "-rwxr-xr-x root");
    assert.equal(await machine.ask("stat -c '%A %U' /run/omniscient"), "drwxr-xr-x omni-observer");
    assert.equal(await leftovers(machine), "");
  });

  await t.test("systemd finds nothing wrong with the units", async (t) => {
    if (await machine.ask("command -v systemd-analyze || true") === "") return t.skip("there is no systemd-analyze");
    const said = await machine.ask("SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/omni-*.service /etc/systemd/system/omni-*.socket 2>&1; echo $?");
    assert.equal(said, "0");
    return undefined;
  });

  await t.test("again, nothing has changed, and nothing is touched", async () => {
    const files = "stat -c '%n %i %Z' /usr/local/bin/* /etc/systemd/system/* /etc/omniscient/*";
    const installed = await machine.ask(files);
    // Without a build folder named, it builds what that machine needs: here, where it is this one's own, what there is.
    const { code, said } = await deploy(machine, { LISTEN: address, BUILD: IS_OWN ? undefined : BUILD }, { make: true });
    assert.equal(code, 0, said);
    if (IS_OWN) assert.match(said, /root@robot is .*: building ARCH=/);
    assert.equal(await machine.ask(files), installed);
    assert.deepEqual(await machine.requests(), []);
    assert.deepEqual(await machine.processes(), before);
  });

  await t.test("a newer robot is put in the place of the running one; the observer never notices", async () => {
    const { code, said } = await deploy(machine, { BUILD: await otherBuild(place, "newer", { "omni-robot": newer }) });
    assert.equal(code, 0, said);
    assert.deepEqual(await machine.requests(), ["restart omni-robot"]);
    const after = await machine.processes();
    assert.equal(after["omni-observer"], before["omni-observer"]);
    assert.notEqual(after["omni-robot"], before["omni-robot"]);
    await live(observer, ({ process }) => String(process) === after["omni-robot"]);
    assert.match(said, new RegExp(address), "the address of the first time is kept");
    before = after;
  });

  await t.test("another address restarts the observer only; what else its settings say stays; wider needs the token", async () => {
    await machine.ask("echo OMNI_MAX_CLIENTS=7 >>/etc/omniscient/observer.conf");
    const port = await freePort();
    const elsewhere = `0.0.0.0:${port}`;
    const { code, said } = await deploy(machine, { LISTEN: elsewhere, BUILD: join(place.directory, "newer") });
    assert.equal(code, 0, said);
    assert.deepEqual(await machine.requests(), ["restart omni-observer"]);
    assert.equal(await machine.ask("cat /etc/omniscient/observer.conf"), `OMNI_MAX_CLIENTS=7\nOMNI_LISTEN=${elsewhere}`);
    observer.url = `http://127.0.0.1:${port}`;
    const link = new URL(/The dashboard: (\S+)/.exec(said)[1]);
    assert.deepEqual([link.hostname, link.port], ["robot", String(port)]);
    assert.equal((await ask(observer, "/api/sources")).status, 401);
    observer.token = link.searchParams.get("token");
    await live(observer);
    const after = await machine.processes();
    assert.equal(after["omni-robot"], before["omni-robot"]);
    before = after;
  });

  await t.test("a connection that breaks half-way changes nothing, and leaves nothing behind", async () => {
    const build = await otherBuild(place, "broken", { "omni-robot": newer, "omni-observer": newer });
    await machine.writeClient(await breakAfter(t, machine.port, 150_000), `* ${machine.key}`);
    const { code, said } = await deploy(machine, { BUILD: build });
    await machine.writeClient(machine.port);
    assert.equal(code, 1, said);
    assert.match(said, /did not arrive whole: nothing was changed on root@robot; the programs there go on/);
    await until("the copy there is removed", async () => (await leftovers(machine)) === "");
    assert.deepEqual(await machine.requests(), []);
    assert.deepEqual(await machine.processes(), before);
    await live(observer);
  });

  await t.test("what somebody has stopped there stays stopped", async () => {
    await machine.ask("systemctl stop omni-observer; : >/run/stand-in/log");
    const { code, said } = await deploy(machine, { BUILD: join(place.directory, "broken") });
    assert.equal(code, 0, said);
    assert.deepEqual(await machine.requests(), []);
    assert.match(said, /omni-observer: changed, and stopped as it was: sudo systemctl start omni-observer/);
  });

  await t.test("a service that does not stay up is told, with what it said", async () => {
    await machine.ask("echo OPTIONS=--no-such-option >/etc/omniscient/robot.conf");
    const { code, said } = await deploy(machine);
    assert.equal(code, 1, said);
    assert.match(said, /omni-robot does not stay up on root@robot/);
    assert.match(said, /no-such-option/);
  });

  await t.test("one that has failed is not called well because nothing has changed", async () => {
    assert.equal(await machine.ask("systemctl is-active omni-robot || true"), "failed");
    const { code, said } = await deploy(machine);
    assert.equal(code, 1, said);
    assert.match(said, /omni-robot: unchanged, but it had failed: restarts/);
    assert.match(said, /omni-robot does not stay up on root@robot/);
  });
});

test("what cannot work is refused before anything is changed, and says what to type", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  const machine = await startMachine(t, place, { user: "guest" });
  const refused = async (pattern, variables, how) => {
    const { code, said } = await deploy(machine, variables, how);
    assert.notEqual(code, 0, said);
    assert.match(said, pattern);
    assert.equal(await machine.ask("ls -A /usr/local/bin /etc/systemd/system 2>/dev/null; ls -A $TMPDIR"), "", said);
  };

  for (const LISTEN of ["8099", "0.0.0.0", "127.0.0.1:99999", "127.0.0.1:80 10.0.0.1:80", "robot:8080"])
    await t.test(`LISTEN=${LISTEN}`, () => refused(/write an address and a port, 127\.0\.0\.1:8080 or 0\.0\.0\.0:8080; nothing was changed/, { LISTEN }));

  await t.test("programs for another CPU", () =>
    refused(/runs no programs for ARCH=s390x: leave ARCH out, or say ARCH=/, { ARCH: "s390x" }, { make: true }));

  await t.test("programs that turn out to be another CPU's", async () => {
    const foreign = (bytes) => Buffer.from(bytes).fill(AARCH64, MACHINE_OFFSET, MACHINE_OFFSET + 1);
    await refused(/omni-robot does not run on root@robot/, { BUILD: await otherBuild(place, "foreign", { "omni-robot": foreign }) });
  });

  await t.test("programs that need another Debian's libraries", async () => {
    // Letter for letter as long as what it stands in for.
    const rename = (bytes) => Buffer.from(bytes.toString("latin1").replace(/libwebsockets\.so\.\d\d/, "libwebsockets.so.99"), "latin1");
    await refused(/another Debian's libraries.*make deploy HOST=root@robot SUITE=/s, { BUILD: await otherBuild(place, "other", { "omni-observer": rename }) });
  });

  await t.test("a user who is not root, without sudo", () =>
    refused(/you are not root on guest@robot, and there is no sudo: nothing was changed; make deploy HOST=root@robot/, {}, { to: "guest@robot" }));

  await t.test("a machine that shows another key", async () => {
    await machine.writeClient(machine.port, `[127.0.0.1]:${machine.port} ${(await readFile(machine.file("user.pub"), "utf8")).trim()}`);
    const { code, said } = await deploy(machine);
    await machine.writeClient(machine.port);
    assert.equal(code, 1);
    assert.match(said, /shows another key than the one known here.*ssh-keygen -R robot/s);
  });

  await t.test("a machine that does not let us in", async () => {
    const { code, said } = await deploy(machine, {}, { to: "nobody-here@robot" });
    assert.equal(code, 1);
    assert.match(said, /nobody-here@robot lets nobody in from here: .*ssh-copy-id/);
  });

  await t.test("a machine that is not there", async () => {
    const { code, said } = await deploy(machine, { PORT: String(await freePort()) });
    assert.equal(code, 1);
    assert.match(said, /root@robot cannot be reached: try ssh .*-p \d+ root@robot/);
  });
});

const hasSudo = spawnSync("sudo", ["--version"]).status === 0;
const sudoOptions = { ...options, skip: options.skip ?? (hasSudo ? undefined : "there is no sudo (scripts/deps test installs it)") };

test("a user with sudo deploys; one who would have to type a password is told so", sudoOptions, async (t) => {
  await t.test("without a password", async (t) => {
    const machine = await startMachine(t, await openPlace(t, tmpdir()), { user: "pi", sudo: "free" });
    const { code, said } = await deploy(machine, {}, { to: "pi@robot" });
    assert.equal(code, 0, said);
    assert.deepEqual(Object.keys(await machine.processes()).sort(), [...PROGRAMS].sort());
    assert.equal(await machine.ask("stat -c %U /usr/local/bin/omni-robot"), "root");
    assert.equal(await leftovers(machine), "");
  });
  await t.test("with a password, and no terminal to ask for it", async (t) => {
    const machine = await startMachine(t, await openPlace(t, tmpdir()), { user: "pi", sudo: "asks" });
    const { code, said } = await deploy(machine, {}, { to: "pi@robot" });
    assert.equal(code, 1, said);
    assert.match(said, /sudo on pi@robot asks for a password: run this in a terminal; nothing was changed/);
    assert.equal(await leftovers(machine), "");
  });
});

test("a 64-bit kernel with a 32-bit Debian gets 32-bit programs", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  // As on many a Raspberry Pi. Here a stand-in for dpkg says so.
  const machine = await startMachine(t, place, { tools: { dpkg: "#!/bin/sh\necho armhf\n" } });
  const { code, said } = await deploy(machine, { ARCH: "aarch64" });
  assert.equal(code, 1, said);
  assert.match(said, /for armhf, and runs no programs for ARCH=aarch64: leave ARCH out, or say ARCH=armv7/);
});

test("a machine that lacks a library is told which packages to install", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  // The libraries are this machine's, and cannot be taken away: a stand-in for ldd denies two of them.
  const ldd = "#!/bin/sh\n/usr/bin/ldd \"$@\" | sed -E 's/(libuv.so.1|libcjson.so.1) =>.*/\\1 => not found/'\n";
  const machine = await startMachine(t, place, { tools: { ldd } });
  const { code, said } = await deploy(machine);
  assert.equal(code, 1, said);
  assert.match(said, /sudo apt install --no-install-recommends libcjson1 libuv1(t64)?\n/);
  assert.equal(await machine.ask("ls /usr/local/bin 2>/dev/null; ls -A $TMPDIR"), "");
});

test("the packages of all libraries are known", async () => {
  const { stdout } = await run("readelf", ["-d", ...["omni-observer", "omni-robot", "omni-driver-host"].map((name) => join(BUILD, name))]);
  const libraries = [...stdout.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name).filter((name) => !/^(libc|libm|ld-linux.*)\.so/.test(name));
  assert.ok(libraries.includes("libuv.so.1") && libraries.some((name) => name.startsWith("libgpiod.so")), stdout);
  const list = await readFile(join(ROOT, "scripts/deploy-there"), "utf8");
  for (const name of libraries) assert.match(list, new RegExp(`^${name.replaceAll(".", "\\.")} `, "m"), `scripts/deploy-there has a line for ${name}`);
});

test("a full disk changes nothing", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  const machine = await startMachine(t, place, { size: "100k" });
  const { code, said } = await deploy(machine);
  assert.equal(code, 1, said);
  assert.match(said, /No space left on device/);
  assert.match(said, /no space left, or no permission; nothing was changed/);
  assert.equal(await leftovers(machine), "");
  assert.equal(await machine.ask("ls /usr/local/bin /etc/systemd/system 2>/dev/null | grep omni || true"), "");
});

test("without systemd, the programs are installed, and it says how to start them", options, async (t) => {
  const place = await openPlace(t, tmpdir());
  const machine = await startMachine(t, place, { hasSystemd: false });
  const { code, said } = await deploy(machine);
  assert.equal(code, 0, said);
  assert.match(said, /there is no systemd on root@robot, so nothing was started or ended/);
  assert.match(said, /omni-observer serve/);
  assert.match(await machine.ask("omni-robot --version && omni-observer --version"), /\d\.\d/);
  assert.equal(await machine.ask("test -e /etc/systemd/system || echo none"), "none");
});
