// omni-observer doctor: each thing that it looks at is broken for real, and what it says to type is typed where that is
// possible here.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, open, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { BUILD, isReachable, openPlace, Program, ROOT, until } from "./support.mjs";

const options = { timeout: 120_000 };
const isRoot = process.getuid() === 0;
const LAYOUT_VERSION_OFFSET = 8; // in a segment: shared/segment.h
const DOCTOR = join(BUILD, "omni-observer");

/** Runs it; `within`: a command that runs another. Returns { code, lines, of(check) }. */
async function consult(place, { args = [], env = {}, within = [], directory = place.directory } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("OMNI_"));
  const words = [...within, join(ROOT, "scripts/launch"), BUILD, DOCTOR, "doctor", "--json", "--directory", directory];
  const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const [command, ...rest] = [...words, ...listen, ...args];
  const { code, stdout, stderr } = await new Promise((resolve) => {
    const settings = { cwd: ROOT, env: { ...Object.fromEntries(inherited), HOME: place.directory, ...env } };
    execFile(command, rest, settings, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
  assert.ok(code === 0 || code === 1, `exit ${code}: ${stderr}`);
  const lines = stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  assert.equal(code === 1, lines.some(({ grade }) => grade === "mend"), "the exit status says what the lines say");
  return { code, lines, of: (check) => lines.filter((line) => line.check === check) };
}

/** The one line of a check that wants mending. */
function complaint(report, check) {
  const found = report.of(check).filter(({ grade }) => grade === "mend");
  assert.equal(found.length, 1, JSON.stringify(report.of(check)));
  return found[0];
}

/** Types what it says. */
function typeIt({ type }) {
  execFileSync("bash", ["-c", type]);
}

const grades = (report, check) => report.of(check).map(({ grade }) => grade);

/** Why that cannot be done in namespaces of one's own; undefined where it can. Continuous integration has to: no line of scripts/may_skip allows it. */
function forbidden(kinds, script) {
  const { status, stderr, error } = spawnSync("unshare", [...kinds, "sh", "-ec", script], { encoding: "utf8" });
  return status === 0 ? undefined : `nothing can be tried apart from the rest of this machine: ${(error?.message ?? stderr).trim().replace(/^unshare: /, "")}`;
}

const forbiddenMounts = () => forbidden(["--mount"], "mount -t tmpfs none /proc");

/** An ALSA configuration with a device that plays to nobody. */
async function makeSound(place) {
  const file = join(place.directory, "asound.conf");
  await writeFile(file, "pcm.!default { type null }\n");
  return { ALSA_CONFIG_PATH: file };
}

test("all is well with a robot, an observer and a sound device", options, async (t) => {
  const place = await openPlace(t);
  const env = await makeSound(place);
  await place.startRobot();
  const observer = await place.startObserver({ args: ["--host-source"] });
  const report = await until("the host source is there", async () => {
    const said = await consult(place, { args: ["--listen", observer.address], env });
    return said.of("sources").length === 2 && said.of("sources").every(({ grade }) => grade === "ok") ? said : null;
  });
  assert.equal(report.code, 0, JSON.stringify(report.lines));
  for (const check of ["directory", "robot", "port", "token", "page", "sound", "libraries", "limits"])
    assert.deepEqual(grades(report, check), ["ok"], check);
  assert.match(report.of("port")[0].text, /an observer answers/);
  assert.match(report.of("page")[0].text, new RegExp(`http://${observer.address}/ answers, version`));
  assert.match(report.of("robot")[0].text, /^robot publishes/, "a machine is no robot");
  const plain = place.start("omni-observer", ["doctor", "-q", "--directory", place.directory, "--listen", observer.address]);
  assert.deepEqual([(await plain.ended).code, plain.stdout], [0, ""]);
});

test("with nothing running, one thing is to be mended, and nothing was touched", options, async (t) => {
  const place = await openPlace(t);
  const report = await consult(place, { args: ["--listen", "0.0.0.0:0"] });
  assert.deepEqual(report.lines.filter(({ grade }) => grade === "mend").map(({ check }) => check), ["robot"]);
  assert.match(complaint(report, "robot").type, /^omni-robot --directory /);
  assert.match(report.of("port")[0].text, /is free/);
  assert.match(report.of("token")[0].text, /will be made at the first start/);
  assert.deepEqual(report.of("page").map(({ grade, type }) => [grade, type]), [["note", `omni-observer --directory ${place.directory} --listen 0.0.0.0:0`]]);
  assert.deepEqual(await readdir(place.directory), []);
  const plain = place.start("omni-observer", ["doctor", "--directory", place.directory, "--listen", "127.0.0.1:0"]);
  assert.equal((await plain.ended).code, 1);
  assert.match(plain.stdout, /^mend {2}robot {6}nothing publishes: .*; type: omni-robot --directory /m);
});

test("a directory that is missing, none, on a disk, closed or open to all", options, async (t) => {
  const place = await openPlace(t);
  const within = isRoot ? ["setpriv", "--bounding-set=-all"] : [];
  const missing = complaint(await consult(place, { directory: join(place.directory, "nowhere") }), "directory");
  assert.match(missing.text, /cannot be read: No such file/);
  const futile = complaint(await consult(place, { directory: join(place.directory, "nowhere") }), "robot");
  assert.deepEqual([futile.text, futile.type], ["nothing publishes: a page would be empty; mend what is said above first", null]);
  const file = join(place.directory, "file");
  await writeFile(file, "");
  assert.match(complaint(await consult(place, { directory: file }), "directory").text, /Not a directory|Permission/);
  assert.match(complaint(await consult(place, { directory: BUILD }), "directory").text, /lies on a disk/);
  const directory = join(place.directory, "closed");
  await mkdir(directory, { mode: 0o555 });
  const closed = complaint(await consult(place, { directory, within }), "directory");
  assert.match(closed.text, /\(mode 0555\) is closed to this user/);
  typeIt({ type: closed.type.replace(/^sudo /, "") });
  assert.deepEqual(grades(await consult(place, { directory, within }), "directory"), ["ok"]);
  await chmod(directory, 0o777);
  assert.match(complaint(await consult(place, { directory }), "directory").text, /may remove the segments of others/);
});

test("a directory that is full", options, async (t) => {
  if (!isRoot) return t.skip("it takes root to mount a file system");
  const reason = forbiddenMounts();
  if (reason) return t.skip(reason);
  const place = await openPlace(t);
  const script = `mount -t tmpfs -o size=64k,mode=1777 none "$0" && exec "$@"`;
  const within = ["unshare", "--mount", "bash", "-c", script, place.directory];
  assert.match(complaint(await consult(place, { within }), "directory").text, /is full \(64 KiB free\)/);
});

test("a robot that was killed, and one that was suspended", options, async (t) => {
  const place = await openPlace(t);
  const dead = await place.startRobot({ name: "dead" });
  const slow = await place.startRobot({ name: "slow" });
  await dead.stop("SIGKILL");
  process.kill(slow.pid, "SIGSTOP");
  const report = await until("both are found", async () => {
    const said = await consult(place);
    return said.of("sources").every(({ grade }) => grade === "mend") ? said : null;
  });
  assert.equal(complaint(report, "robot").type, null, "another one could be refused: that one is to go on first");
  const [died, suspended] = report.of("sources");
  assert.match(died.text, new RegExp(`^dead: its program \\(process ${dead.pid}\\) died without a word`));
  assert.match(suspended.text, new RegExp(`^slow: its program \\(process ${slow.pid}\\) was suspended`));
  typeIt(died);
  typeIt(suspended);
  const after = await until("what was typed helps", async () => {
    const said = await consult(place);
    return said.code === 0 ? said : null;
  });
  assert.deepEqual(after.of("sources").map(({ text }) => text.split(",")[0]), ["slow: live"]);
  await slow.stop();
  const ended = await consult(place);
  assert.match(ended.of("sources")[0].text, /^slow: it said goodbye/);
  assert.equal(complaint(ended, "robot").type, `omni-robot --directory ${place.directory}`);
});

test("where another user has had the robot's name, another one is advised, and the robot says what to remove", options, async (t) => {
  if (!isRoot) return t.skip("it takes root to give a file away");
  const place = await openPlace(t);
  await chmod(place.directory, 0o1777);
  const start = (...args) => place.start("omni-robot", ["--directory", place.directory, "--ticks", "2", ...args]);
  const remove = `sudo rm -f ${place.directory}/omni{,-lock,-sleepers,-step}.robot`;
  for (const name of ["omni-lock.robot", "omni-sleepers.robot"]) {
    await start().ended;
    await chown(join(place.directory, name), 65534, 65534);
    const refused = start();
    assert.equal((await refused.ended).code, 2);
    assert.equal(refused.stderr, `${join(place.directory, name)} belongs to another user: choose another name, or, if no publisher of that user runs: ${remove}\n`);
    const { type } = complaint(await consult(place), "robot");
    assert.equal(type, `omni-robot --directory ${place.directory}${name === "omni-lock.robot" ? " --name NAME" : ""}`);
    execFileSync("bash", ["-c", remove.replace(/^sudo /, "")]);
    assert.equal((await start().ended).code, 0, "what was typed helps");
  }
});

test("segments that cannot be read", options, async (t) => {
  const place = await openPlace(t);
  await place.startRobot({ name: "good" });
  await writeFile(place.segment("junk"), Buffer.alloc(8192, "x"));
  await copyFile(place.segment("good"), place.segment("newer"));
  const file = await open(place.segment("newer"), "r+");
  await file.write(Buffer.from([99, 0, 0, 0]), 0, 4, LAYOUT_VERSION_OFFSET);
  await file.close();
  const report = await consult(place);
  const [good, junk, newer] = report.of("sources");
  assert.equal(good.grade, "ok");
  assert.deepEqual([junk.grade, junk.type], ["mend", `rm ${place.segment("junk")}`]);
  assert.match(junk.text, /junk cannot be shown: .*no status segment/);
  assert.equal(newer.grade, "mend");
  assert.match(newer.text, /newer cannot be shown: .*layout version 99/);
});

test("what is no file in a segment's place: what is typed removes it", options, async (t) => {
  const place = await openPlace(t);
  await place.startRobot({ name: "good" });
  await mkdir(place.segment("folder"));
  await symlink("omni.loop", place.segment("loop"));
  await symlink("/etc/passwd", place.segment("elsewhere"));
  execFileSync("mkfifo", [place.segment("pipe")]);
  const report = await consult(place);
  const wrong = report.of("sources").filter(({ grade }) => grade === "mend");
  assert.equal(wrong.length, 4, JSON.stringify(wrong));
  wrong.forEach(typeIt);
  assert.deepEqual(grades(await consult(place), "sources"), ["ok"]);
  assert.equal(existsSync("/etc/passwd"), true);
});

test("a robot of a user who is not trusted", options, async (t) => {
  if (!isRoot) return t.skip("it takes root to give a file away");
  const place = await openPlace(t);
  await place.startRobot();
  await chown(place.segment("robot"), 65534, 65534);
  const found = complaint(await consult(place), "sources");
  assert.match(found.text, /belongs to user 65534, who is not trusted/);
  assert.equal(found.type, "omni-observer --trust 65534");
  assert.deepEqual(grades(await consult(place, { args: ["--trust", "65534"] }), "sources"), ["ok"]);
});

/** A server on a free port of 127.0.0.1; its address. */
async function listening(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return `127.0.0.1:${server.address().port}`;
}

test("a port that another program has, and addresses that cannot be had", options, async (t) => {
  const place = await openPlace(t);
  const address = await listening(t, createServer((socket) => socket.on("error", () => {}).end("220 mail\r\n").resume()));
  const taken = complaint(await consult(place, { args: ["--listen", address] }), "port");
  assert.match(taken.text, new RegExp(`^${address} is taken by \\S+ \\(process ${process.pid}\\)$`));
  const port = Number(address.split(":")[1]);
  assert.equal(taken.type, `omni-observer --listen 127.0.0.1:${port < 65535 ? port + 1 : 8080}`);
  const foreign = complaint(await consult(place, { args: ["--listen", "192.0.2.7:8080"] }), "port");
  assert.match(foreign.text, /no address of this machine/);
});

test("of two programs at one port the one that is in the way", options, async (t) => {
  const place = await openPlace(t);
  const address = await listening(t, createServer((socket) => socket.on("error", () => {}).end("220 mail\r\n").resume()));
  const port = address.split(":")[1];
  const script = `require("net").createServer((socket) => socket.end("220 news")).listen(${port}, "127.0.0.2", () => console.log("listens"))`;
  const other = new Program(spawn(process.execPath, ["-e", script]), "the other");
  t.after(() => other.stop("SIGKILL"));
  await other.says(/listens/);
  const blamed = async (host) => complaint(await consult(place, { args: ["--listen", `${host}:${port}`] }), "port").text;
  assert.match(await blamed("127.0.0.1"), new RegExp(`^127\\.0\\.0\\.1:${port} is taken by \\S+ \\(process ${process.pid}\\)$`));
  assert.match(await blamed("127.0.0.2"), new RegExp(`^127\\.0\\.0\\.2:${port} is taken by \\S+ \\(process ${other.pid}\\)$`));
});

test("what takes root's rights is typed with sudo", options, async (t) => {
  if (!isRoot) return t.skip("it takes root to be two users");
  if (!(await isReachable(DOCTOR))) return t.skip("other users cannot reach the build folder");
  const place = await openPlace(t);
  await chmod(place.directory, 0o1777);
  const [dead, slow, observer] = [await place.startRobot({ name: "dead" }), await place.startRobot({ name: "slow" }), await place.startObserver({ args: ["--require-token", "always"] })];
  await dead.stop("SIGKILL");
  process.kill(slow.pid, "SIGSTOP");
  process.kill(observer.pid, "SIGSTOP");
  await writeFile(place.segment("junk"), Buffer.alloc(8192, "x"));
  const token = join(place.directory, "token");
  const args = ["--listen", observer.address, "--require-token", "always", "--token-file", token];
  const typed = async (within) => {
    const report = await until("both are found", async () => {
      const said = await consult(place, { args, within });
      return said.of("sources").every(({ grade }) => grade === "mend") ? said : null;
    });
    return [report.of("sources").map(({ type }) => type), report.of("port")[0], report.of("token")[0]];
  };
  const [segments, mine, own] = await typed([]);
  const remedies = [`rm ${place.segment("dead")}`, `rm ${place.segment("junk")}`, `kill -CONT ${slow.pid}`];
  assert.deepEqual([segments, mine.type, own.grade], [remedies, `kill -CONT ${observer.pid}`, "ok"]);
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const [others, port, foreign] = await typed(nobody);
  assert.deepEqual(others, remedies.map((remedy) => `sudo ${remedy}`));
  assert.match(port.text, /is taken by a program of user 0$/);
  assert.equal(foreign.type, `sudo -u '#0' omni-observer doctor --token-file ${token}`);
  await chmod(place.directory, 0o777);
  assert.deepEqual((await typed(nobody))[0], [remedies[0], remedies[1], `sudo ${remedies[2]}`], "there everybody may remove everything");
});

test("a port below 1024", options, async (t) => {
  const place = await openPlace(t);
  const start = Number(await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  if (start < 1) return t.skip("every user of this machine may listen at every port");
  const within = isRoot ? ["setpriv", "--bounding-set=-all"] : [];
  const denied = complaint(await consult(place, { args: ["--listen", `127.0.0.1:${start - 1}`], within }), "port");
  assert.match(denied.text, /may not listen at a port below 1024/);
});

test("an observer that is suspended", options, async (t) => {
  const place = await openPlace(t);
  await place.startRobot();
  const observer = await place.startObserver();
  process.kill(observer.pid, "SIGSTOP");
  const hangs = complaint(await consult(place, { args: ["--listen", observer.address] }), "port");
  assert.match(hangs.text, new RegExp(`the observer there \\(process ${observer.pid}\\) does not answer`));
  typeIt(hangs);
  assert.equal((await consult(place, { args: ["--listen", observer.address] })).code, 0);
});

test("a token file that is open to others, or no token", options, async (t) => {
  const place = await openPlace(t);
  const file = join(place.directory, "token");
  const args = ["--require-token", "always", "--token-file", file];
  await place.startRobot();
  const observer = await place.startObserver({ args: ["--require-token", "always"] });
  assert.ok(observer.token);
  const mine = await consult(place, { args: [...args, "--listen", observer.address] });
  assert.equal(mine.code, 0, JSON.stringify(mine.lines));
  await chmod(file, 0o644);
  const readable = complaint(await consult(place, { args }), "token");
  assert.match(readable.text, /others may read it/);
  typeIt(readable);
  assert.deepEqual(grades(await consult(place, { args }), "token"), ["ok"]);
  await writeFile(file, "A".repeat(43));
  const other = await consult(place, { args: [...args, "--listen", observer.address] });
  assert.match(other.of("page")[0].text, /wants a token that is not in/);
  await writeFile(file, "no token");
  const garbage = complaint(await consult(place, { args }), "token");
  assert.match(garbage.text, /holds no token/);
  typeIt(garbage);
  assert.match((await consult(place, { args })).of("token")[0].text, /will be made/);
  const nowhere = ["--require-token", "always", "--token-file", "/dev/null/token"];
  assert.match(complaint(await consult(place, { args: nowhere }), "token").text, /cannot use the token file/);
  const wide = ["--listen", "0.0.0.0:0", "--require-token", "never"];
  assert.match(complaint(await consult(place, { args: wide }), "token").text, /whole network/);
});

/** Answers like an observer, wants a token, and prints each one that it is given. */
const IMPOSTOR = `
  require("node:http").createServer((request, response) => {
    if (request.headers.authorization) console.log("TOKEN " + request.headers.authorization);
    response.statusCode = request.url === "/healthz" ? 200 : 401;
    response.end('{"status":"ok","version":"0.1.0","sources":1}');
  }).listen(0, "127.0.0.1", function () { console.log("PORT " + this.address().port); });`;

async function startImpostor(t, uid) {
  const child = spawn(process.execPath, ["-e", IMPOSTOR], { uid, cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const impostor = { said: "", address: "" };
  child.stdout.on("data", (bytes) => (impostor.said += bytes));
  const [, port] = await until("it listens", () => /PORT (\d+)\n/.exec(impostor.said));
  impostor.address = `127.0.0.1:${port}`;
  return impostor;
}

test("whoever answers like an observer is not told the token of another user", { ...options, skip: !isRoot && "only root can start another user's program" }, async (t) => {
  const place = await openPlace(t);
  const token = "A".repeat(43);
  await place.startRobot();
  await writeFile(join(place.directory, "token"), token, { mode: 0o600 });
  const ask = ({ address }) => consult(place, { args: ["--require-token", "always", "--token-file", join(place.directory, "token"), "--listen", address] });
  const impostor = await startImpostor(t, 65534);
  const said = (await ask(impostor)).of("page");
  assert.match(said.at(-1).text, /held by another user's program, which is not told the token/);
  assert.doesNotMatch(impostor.said, /TOKEN/);
  const own = await startImpostor(t, 0);
  await ask(own);
  assert.match(own.said, new RegExp(`TOKEN Bearer ${token}`), "one's own is told: so the test would notice");
});

test("an observer that looks elsewhere, cannot show something, or is another version", options, async (t) => {
  const place = await openPlace(t);
  const elsewhere = await openPlace(t);
  await place.startRobot();
  const observer = await elsewhere.startObserver();
  await writeFile(elsewhere.segment("junk"), Buffer.alloc(8192, "x"));
  const args = ["--listen", observer.address];
  const report = await until("it has met the junk", async () => {
    const said = await consult(place, { args });
    return said.of("page").length === 2 ? said : null;
  });
  assert.match(report.of("page")[0].text, /cannot show junk: .*no status segment/);
  assert.match(report.of("page")[1].text, /does not show robot: it looks at another directory/);
  const old = createHttpServer((request, response) => {
    const answers = { "/healthz": '{"status":"ok","version":"0.0.1","sources":1}', "/": "<title>Omniscient</title>" };
    response.end(answers[request.url] ?? '{"sources":[{"name":"robot"}],"refused":[]}');
  });
  const address = await listening(t, old);
  assert.match(complaint(await consult(place, { args: ["--listen", address] }), "page").text, /is version 0\.0\.1, this program/);
});

test("the machine's conditions: a folder that is none, and who publishes them", options, async (t) => {
  const place = await openPlace(t);
  assert.deepEqual((await consult(place)).of("host"), [], "nobody asked");
  const within = (root) => ["--host-source=conditions", "--host-root", root];
  assert.match(complaint(await consult(place, { args: within("/nowhere") }), "host").text, /\/nowhere cannot be read: No such/);
  assert.match(complaint(await consult(place, { args: within(place.directory) }), "host").text, /no proc and no sys in/);
  const well = await consult(place, { args: within("/") });
  assert.deepEqual(well.of("host").map(({ grade, text }) => [grade, text]), [["ok", "the machine's conditions can be read in /"]]);
  const observer = await place.startObserver({ args: ["--host-source=conditions"] });
  const taken = await consult(place, { args: [...within("/"), "--listen", observer.address] });
  assert.equal(taken.of("host")[0].text, `process ${observer.pid} publishes "conditions" already`);
  await place.startRobot({ name: "host" });
  assert.match(complaint(await consult(place, { args: ["--host-source"] }), "host").text, /^the name "host" is taken, by a robot it seems/);
});

test("sockets for virtual machines: taken, in the way, too long, nowhere", options, async (t) => {
  const place = await openPlace(t);
  const socket = join(place.directory, "robot.sock");
  const said = async (path, ...more) => consult(place, { args: ["--ivshmem", path, ...more], within: isRoot ? ["setpriv", "--bounding-set=-all"] : [] });
  assert.deepEqual((await said(socket)).of("ivshmem").map(({ grade, text }) => [grade, text]), [["ok", `${socket} can be made for virtual machines`]]);
  assert.match(complaint(await said(socket, "--ivshmem-size", "5000"), "ivshmem").text, /^5000 bytes .* no power of two/);
  assert.match(complaint(await said(`/${"x".repeat(107)}`), "ivshmem").text, /longer than 107 bytes/);
  await writeFile(join(place.directory, "file"), "");
  assert.match(complaint(await said(join(place.directory, "file")), "ivshmem").text, /is there already, and no socket/);
  const folder = join(place.directory, "closed");
  await mkdir(folder, { mode: 0o555 });
  const closed = complaint(await said(join(folder, "robot.sock")), "ivshmem");
  assert.match(closed.text, /no socket can be made there: Permission denied/);
  typeIt({ type: closed.type.replace(/^sudo /, "") });
  assert.deepEqual(grades(await said(join(folder, "robot.sock")), "ivshmem"), ["ok"]);
  const other = createServer();
  other.listen(socket);
  await once(other, "listening");
  assert.match(complaint(await said(socket), "ivshmem").text, /another program listens there/);
  other.close();
  await once(other, "close");
  const observer = await place.startObserver({ args: ["--ivshmem", socket] });
  assert.deepEqual((await said(socket, "--listen", observer.address)).of("ivshmem").map(({ text }) => text), [`${socket}: an observer serves it already`]);
});

test("no sound device matters to who wants sounds", options, async (t) => {
  const place = await openPlace(t);
  const file = join(place.directory, "asound.conf");
  await writeFile(file, "");
  const env = { ALSA_CONFIG_PATH: file };
  assert.deepEqual(grades(await consult(place, { env }), "sound"), ["note"]);
  assert.match(complaint(await consult(place, { env, args: ["--sound"] }), "sound").text, /no sound device "default"/);
  const working = await consult(place, { env: await makeSound(place), args: ["--sound"] });
  assert.deepEqual(grades(working, "sound"), ["ok"]);
  const missing = await consult(place, { env: await makeSound(place), args: ["--sound-dir", "/nowhere"] });
  assert.match(complaint(missing, "sound").text, /sounds in \/nowhere cannot be read/);
});

test("a clock that was never set, and one that is slow to read", options, async (t) => {
  const place = await openPlace(t);
  const env = { LD_PRELOAD: join(BUILD, "tests/plugins/old_clock.so") };
  assert.match(complaint(await consult(place, { env }), "clock").text, /the clock says 2000-01-01 00:00 UTC/);
  const root = join(place.directory, "machine");
  const file = join(root, "sys/devices/system/clocksource/clocksource0/current_clocksource");
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, "acpi_pm\n");
  const slow = await consult(place, { args: ["--host-root", root] });
  assert.ok(slow.of("clock").some(({ grade, text }) => grade === "note" && /clock is "acpi_pm"/.test(text)));
});

test("libwebsockets without the piece that joins it to libuv", options, async (t) => {
  if (!isRoot) return t.skip("it takes root to hide a file");
  const reason = forbiddenMounts();
  if (reason) return t.skip(reason);
  const place = await openPlace(t);
  const find = `find -L /usr/lib "$0"/build/sysroot -name 'libwebsockets-evlib_uv.so*' 2>/dev/null || true`;
  const plugins = execFileSync("bash", ["-c", find, ROOT], { encoding: "utf8" }).split("\n").filter(Boolean);
  if (!plugins.length) return t.skip("this machine's libwebsockets has no such piece of its own");
  const script = `while [ "$1" != -- ]; do mount --bind /dev/null "$1" && shift || exit 9; done; shift; exec "$@"`;
  const within = ["unshare", "--mount", "bash", "-c", script, "-", ...plugins, "--"];
  const found = complaint(await consult(place, { within }), "libraries");
  assert.equal(found.type, "sudo apt install libwebsockets-evlib-uv");
});

test("too few open files", options, async (t) => {
  const place = await openPlace(t);
  const few = complaint(await consult(place, { within: ["prlimit", "--nofile=256:256"] }), "limits");
  assert.match(few.text, /^256 open files are allowed, --max-clients 1000 and --max-requests 256 need up to \d+$/);
  const clients = ["--max-clients", "1", "--max-requests", "1"];
  assert.deepEqual(grades(await consult(place, { within: ["prlimit", "--nofile=1024:1024"], args: clients }), "limits"), ["ok"]);
});

test("no directory watches left", options, async (t) => {
  const kinds = ["--user", "--map-root-user"];
  const script = "echo 0 >/proc/sys/user/max_inotify_instances";
  const reason = forbidden(kinds, script);
  if (reason) return t.skip(reason);
  const place = await openPlace(t);
  const within = ["unshare", ...kinds, "bash", "-c", `${script} && exec "$@"`, "-"];
  const none = complaint(await consult(place, { within }), "limits");
  assert.match(none.text, /watch no more directories/);
});
