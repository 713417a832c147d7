// The packages that `make deb` makes: what is in them, for each CPU, and a whole life in a clean Debian: installed, run,
// upgraded under running programs, removed, purged.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { appendFile, copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { ask, askJson, run } from "../integration/raw.mjs";
import { ROOT, until } from "../integration/support.mjs";
import { machineTest, startMachine } from "../vm/machine.mjs";
import { diskDevice, diskStarter, makeDisk } from "./disk.mjs";
import { lackingForRoots, makeRoot, openRoot, USERS } from "./root.mjs";

const PROGRAMS = ["omniscient-robot", "omniscient-observer"]; // whose whole life is tried
/** Where Debian's shells look for what completes a program's options. */
const COMPLETIONS = {
  bash: (program) => `usr/share/bash-completion/completions/${program}`,
  zsh: (program) => `usr/share/zsh/vendor-completions/_${program}`,
  fish: (program) => `usr/share/fish/vendor_completions.d/${program}.fish`,
};
const NEXT = "9.8.7"; // the version that they are upgraded to
const MANY = { maxBuffer: 64 << 20 };

const lines = (text) => text.split("\n").filter((line) => line && !line.startsWith("#"));
const read = (...names) => readFile(join(ROOT, ...names), "utf8");
const PACKAGES = (await read("packaging/debian/control")).match(/(?<=^Package: ).*/gm);
const isCommand = (name) => process.env.PATH.split(":").some((folder) => existsSync(join(folder, name)));

const OWN = (await run("uname", ["-m"])).stdout.trim();
const rows = lines(await read("scripts/architectures")).map((line) => line.split(/ +/));
const CPUS = new Map(rows.map(([arch, debian, triplet, emulator]) => [arch, { arch, debian, triplet, emulator }]));
const VERSION = /^VERSION *:= *(\S+)$/m.exec(await read("Makefile"))[1];

function lackingFor({ arch, triplet, emulator }) {
  const tools = arch === OWN ? ["dh"] : ["dh", `${triplet}-gcc`, emulator];
  const missing = tools.find((tool) => !isCommand(tool));
  return missing && `there is no ${missing} (scripts/deps deb${arch === OWN ? "" : ` cross ${arch}`})`;
}

let place;
const made = new Map(); // CPU and version → a promise: the folder with its packages, and what was said
const judged = new Map(); // CPU → a promise: what lintian says
let turn = Promise.resolve();

/** The packages for a CPU, made when they are first asked for, one after the other. */
function packagesFor({ arch }, version = VERSION) {
  const key = `${arch}-${version}`;
  if (!made.has(key)) {
    const folder = join(place, arch);
    const { MAKEFLAGS, MFLAGS, ...env } = process.env; // of the make that runs this test
    turn = turn.catch(() => {}).then(() => run("make", ["-C", ROOT, "--no-print-directory", "deb", `ARCH=${arch}`, `DEST=${folder}`, `VERSION=${version}`], { ...MANY, env }));
    made.set(key, turn.then(({ stdout }) => ({ folder, said: stdout })));
  }
  return made.get(key);
}

/** Beside what is made next: it is one process, and waits a lot. */
function judge(cpu) {
  if (!judged.has(cpu.arch)) {
    const options = ["--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root"];
    const file = (folder) => join(folder, `omniscient_${VERSION}-1_${cpu.debian}.changes`);
    judged.set(cpu.arch, packagesFor(cpu).then(({ folder }) => run("lintian", [...options, file(folder)])));
  }
  return judged.get(cpu.arch);
}

async function fileOf(cpu, name, version = VERSION) {
  const { folder } = await packagesFor(cpu, version);
  return join(folder, `${name}_${version}-1_${cpu.debian}.deb`);
}

const field = async (file, name) => (await run("dpkg-deb", ["--field", file, name])).stdout.trim();

/** The files in a package, by their paths from the root. */
async function filesIn(file) {
  const { stdout } = await run("dpkg-deb", ["--contents", file], MANY);
  return lines(stdout).filter((line) => !line.startsWith("d")).map((line) => / \.\/(.*?)( -> .*)?$/.exec(line)[1]);
}

/** Unpacks all packages of a CPU into one folder. */
async function unpack(cpu) {
  const folder = join(place, `tree-${cpu.arch}`);
  for (const name of PACKAGES) await run("dpkg-deb", ["--extract", await fileOf(cpu, name), folder]);
  return folder;
}

const own = CPUS.get(OWN);
const noRoot = lackingForRoots() ?? (own ? lackingFor(own) : `${OWN} is in no line of scripts/architectures`);
const wanted = [...new Set([OWN, "aarch64", "armv7"])].map((arch) => CPUS.get(arch)).filter(Boolean);
let clean; // a promise: the clean Debian, made while the packages are

before(async () => {
  place = await mkdtemp(join(tmpdir(), "omni-packages-"));
  if (!noRoot) clean = makeRoot();
  clean?.catch(() => {});
  // The machine's own first: the rest is made while they are installed.
  if (!noRoot) for (const version of [VERSION, NEXT]) packagesFor(own, version).catch(() => {});
  for (const cpu of wanted) if (!lackingFor(cpu)) judge(cpu).catch(() => {});
});
after(async () => {
  await Promise.allSettled([turn, ...judged.values()]);
  await (await clean?.catch(() => {}))?.close();
  await rm(place, { recursive: true, force: true });
});

test("packages and Makefile have one version, and what they are built with is what scripts/deps installs", async () => {
  const changelog = await read("packaging/debian/changelog");
  assert.match(changelog, new RegExp(`^omniscient \\(${VERSION.replaceAll(".", "\\.")}-`));
  const control = await read("packaging/debian/control");
  const named = /^Build-Depends:((?:.*\n(?= ))*.*)/m.exec(control)[1].match(/lib[\w.+-]+-dev/g);
  const { stdout } = await run(join(ROOT, "scripts/deps"), ["--libraries"]);
  const installed = stdout.trim().split(" ").filter((name) => /-dev$/.test(name) && !/^(libc6|libcmocka)-dev$/.test(name));
  assert.deepEqual(named.sort(), installed.sort());
});

/** The ticks that `dump` has printed. */
const ticksOf = (dump) => dump.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));

/** Each tick after the other; what the loop itself left out, on a busy machine, it has counted. */
function assertWhole(ticks) {
  for (const [i, { tick, values, ...rest }] of ticks.entries()) {
    assert.ok(values, `no tick, but ${JSON.stringify(rest)}`);
    if (i === 0) continue;
    const leftOut = values.overruns - ticks[i - 1].values.overruns;
    assert.ok(tick - ticks[i - 1].tick - 1 <= leftOut, `from tick ${ticks[i - 1].tick} to ${tick}`);
  }
}

describe("a clean Debian", { skip: noRoot }, () => {
  let root;
  let pristine;
  let robot;
  let observer;
  const versionOf = async (program) => (await askJson(program, "/api/observer")).version;
  const install = (version, ...names) => root.run("apt-get", "install", "-y", "--no-install-recommends", ...names.map((name) => `/debs/${version}/${name}.deb`));
  const isThere = (file) => existsSync(root.file(file));
  async function startObserver() {
    observer = await root.startUnit("omni-observer");
    const [link] = await observer.says(/http:\/\/\S+(?=\n)/);
    observer.url = new URL(link).origin;
  }
  const newest = () => askJson(observer, "/api/status?source=robot");
  const goesOn = async () => {
    const { tick } = await newest();
    await until("the robot ticks", async () => (await newest()).tick > tick);
  };

  before(async () => {
    root = await clean;
    for (const version of [VERSION, NEXT]) {
      await mkdir(root.file("debs", version), { recursive: true });
      for (const name of PROGRAMS) await copyFile(await fileOf(own, name, version), root.file("debs", version, `${name}.deb`));
    }
    await openRoot(root);
    // What they need, as apt finds it; so that all that comes after it is theirs.
    const needs = await Promise.all(PROGRAMS.map(async (name) => field(await fileOf(own, name), "Depends")));
    await root.run("apt-get", "satisfy", "-y", "--no-install-recommends", needs.join(", "));
    pristine = await root.files();
  });

  test("takes both; the dashboard is to be started with the machine, the robot is not", async () => {
    await root.run("groupadd", "--system", "gpio"); // as on a Raspberry Pi
    const said = await install(VERSION, ...PROGRAMS);
    assert.match(said, /2 newly installed/, "nothing is missing that they need");
    assert.match(said, /systemctl enable --now omni-robot/);
    const { stdout } = await run("find", [root.file("etc/systemd/system"), "-name", "omni*"]);
    assert.deepEqual(lines(stdout), [root.file("etc/systemd/system/multi-user.target.wants/omni-observer.service")]);
    assert.match(await root.run("getent", "passwd", "omni-robot", "omni-observer"), /^omni-robot:.*nologin\nomni-observer:.*nologin$/m);
    assert.equal(await root.run("systemd-sysusers"), "", "both make the same users");
    assert.match(await root.run("stat", "-c", "%U %a", "/run/omniscient"), /^omni-observer 755$/m);
    assert.match(await root.run("id", "-nG", "omni-robot"), /\bgpio\b/, "pins belong to that group");
  });

  test("runs them as their units say: the page is there, and the robot lives", async () => {
    await appendFile(root.file("etc/omniscient/observer.conf"), "OMNI_LISTEN=127.0.0.1:0\n");
    robot = await root.startUnit("omni-robot");
    await startObserver();
    const page = await ask(observer, "/");
    assert.equal(page.status, 200);
    assert.match(page.text, /<title>/);
    const { sources } = await until("the robot is seen", async () => {
      const answer = await askJson(observer, "/api/sources");
      return answer.sources.some(({ state }) => state === "live") && answer;
    });
    assert.deepEqual(sources.map(({ name, state }) => [name, state]), [["robot", "live"]]);
    await goesOn();
  });

  test("upgrades the observer beside a robot that never notices", async () => {
    const dump = root.start("omni-observer", ["omni-observer", "dump", "robot"], { OMNI_TRUST: "omni-robot" });
    await until("the first ticks", () => ticksOf(dump).length > 1);
    await install(NEXT, "omniscient-observer");
    assert.equal(await versionOf(observer), VERSION, "without systemd nobody restarts it");
    await observer.stop();
    await startObserver();
    assert.equal(await versionOf(observer), NEXT);
    assert.ok(robot.isRunning);
    await goesOn();
    const { tick } = await newest();
    await until("those ticks have come", () => ticksOf(dump).at(-1).tick >= tick);
    await dump.stop();
    assertWhole(ticksOf(dump));
    assert.match(await readFile(root.file("etc/omniscient/observer.conf"), "utf8"), /^OMNI_LISTEN=127.0.0.1:0$/m, "settings stay");
  });

  test("upgrades the robot beside an observer that goes on, and sees the next one", async () => {
    await root.run("gpasswd", "-d", "omni-robot", "gpio");
    await install(NEXT, "omniscient-robot");
    assert.doesNotMatch(await root.run("id", "-nG", "omni-robot"), /gpio/, "who takes it out of the group means it");
    await goesOn();
    await robot.stop();
    await until("the robot's end is seen", async () => (await askJson(observer, "/api/sources")).sources[0].state === "stopped");
    robot = await root.startUnit("omni-robot");
    await until("the next one is seen", async () => (await askJson(observer, "/api/sources")).sources[0].state === "live");
    await goesOn();
    assert.ok(observer.isRunning);
    assert.equal((await askJson(observer, "/api/observer")).process, observer.pid);
    assert.equal((await root.run("omni-robot", "--version")).trim(), `omni-robot ${NEXT}`);
  });

  test("removes one beside the other, keeps settings, and purges everything but the users", async () => {
    await robot.stop();
    await root.run("apt-get", "remove", "-y", "omniscient-robot");
    assert.ok(observer.isRunning);
    assert.equal((await ask(observer, "/")).status, 200);
    assert.ok(!isThere("usr/bin/omni-robot") && isThere("etc/omniscient/robot.conf"));
    await observer.stop();
    await root.run("apt-get", "purge", "-y", ...PROGRAMS);
    const left = await root.files();
    const changed = [...new Set([...pristine.keys(), ...left.keys()])].filter((path) => pristine.get(path) !== left.get(path));
    assert.deepEqual(changed.filter((path) => !USERS.test(path)), []);
    assert.ok(changed.length > 0, "the users stay");
    await root.run("groupdel", "gpio"); // what comes next is no Raspberry Pi
  });

  machineTest("in a machine with systemd, each is started, restarted and stopped as it should be, and the other left alone", [OWN], async (t) => {
    const disk = join(place, "disk");
    await makeDisk(root, disk);
    const machine = await startMachine(t, { image: diskStarter(), devices: diskDevice(disk) });
    const show = async (unit, property) => (await machine.must(`systemctl show -P ${property} ${unit}`)).trim();
    const stateOf = async (unit) => [await show(unit, "UnitFileState"), await show(unit, "ActiveState")];
    const idOf = (unit) => show(unit, "MainPID");
    const sees = (state) => machine.until(`ask /api/sources | grep -q '"name":"robot".*"state":"${state}"'`);
    const isVersion = (version) => machine.until(`ask /api/observer | grep -qF '"version":"${version}"'`);
    const dpkg = (how, ...names) => machine.must(`dpkg --force-unsafe-io ${how} ${names.join(" ")} 2>&1`);
    const file = (version, name) => `/debs/${version}/${name}.deb`;

    // An emulated CPU is slow, and stands still for seconds on a busy machine.
    await machine.must("mkdir -p /etc/omniscient && echo OPTIONS=--tick-hz 20 >/etc/omniscient/robot.conf");
    for (const unit of ["omni-robot", "omni-observer"]) await machine.must(`mkdir -p /etc/systemd/system/${unit}.service.d && printf '[Service]\\nWatchdogSec=0\\n' >/etc/systemd/system/${unit}.service.d/slow.conf`);
    await dpkg("-i --force-confold", ...PROGRAMS.map((name) => file(VERSION, name)));
    assert.deepEqual(await stateOf("omni-robot"), ["disabled", "inactive"]);
    assert.deepEqual(await stateOf("omni-observer"), ["enabled", "active"]);
    assert.deepEqual(await stateOf("omni-observer.socket"), ["disabled", "inactive"]);
    await isVersion(VERSION);
    assert.doesNotMatch(await machine.must("id -nG omni-robot; getent group"), /gpio/, "there is no such group, and none is made");

    await machine.must("systemctl stop omni-observer");
    await dpkg("-i", file(NEXT, "omniscient-observer"));
    assert.deepEqual(await stateOf("omni-observer"), ["enabled", "inactive"], "who stopped it means it, whatever is upgraded");
    await dpkg("-r", "omniscient-observer");
    await dpkg("-i --force-confold", file(VERSION, "omniscient-observer"));
    assert.deepEqual(await stateOf("omni-observer"), ["enabled", "active"], "who installs it again wants it");
    await isVersion(VERSION);

    const first = await idOf("omni-observer");
    await dpkg("-i", file(NEXT, "omniscient-robot"));
    assert.equal(await show("omni-robot", "ActiveState"), "inactive", "a robot that stands is not started by an upgrade");
    assert.equal(await idOf("omni-observer"), first);
    await machine.must("systemctl enable --now omni-robot");
    await sees("live");

    const robot = await idOf("omni-robot");
    await dpkg("-i", file(NEXT, "omniscient-observer"));
    await isVersion(NEXT);
    const second = await idOf("omni-observer");
    assert.notEqual(second, first);
    assert.equal(await idOf("omni-robot"), robot, "the robot goes on");
    await sees("live");

    await dpkg("-i", file(VERSION, "omniscient-robot"));
    assert.notEqual(await idOf("omni-robot"), robot, "one that runs is restarted");
    assert.equal(await idOf("omni-observer"), second, "the observer goes on");
    await sees("live");

    await dpkg("-P", "omniscient-robot");
    await sees("stopped");
    assert.equal(await idOf("omni-observer"), second);

    // A port that systemd holds is open all the time, also while the observer behind it is upgraded.
    await machine.must("systemctl disable omni-observer && systemctl stop omni-observer && systemctl enable --now omni-observer.socket");
    const visits = await machine.start("visits", "while :; do (exec 3<>/dev/tcp/127.0.0.1/8080) || echo refused; sleep 0.2; done");
    await isVersion(NEXT); // the first visitor has started it
    const [opened, third] = [await show("omni-observer.socket", "ActiveEnterTimestampMonotonic"), await idOf("omni-observer")];
    await dpkg("-i", file(VERSION, "omniscient-observer"));
    await isVersion(VERSION);
    assert.notEqual(await idOf("omni-observer"), third);
    assert.equal(await show("omni-observer.socket", "ActiveEnterTimestampMonotonic"), opened, "the socket is not restarted");
    assert.deepEqual([await stateOf("omni-observer.socket"), await stateOf("omni-observer")], [["enabled", "active"], ["disabled", "active"]]);
    await machine.must(`kill ${visits}`);
    assert.equal(await machine.output("visits"), "", "nobody was refused");
    await dpkg("-P", "omniscient-observer");
    assert.doesNotMatch(await machine.must("cat /proc/[0-9]*/comm; systemctl list-unit-files --no-legend"), /omni/);
  });
});

for (const cpu of wanted) {
  describe(`packages for ${cpu.arch}`, { skip: lackingFor(cpu) }, () => {
    test("are made by make deb, which says what to type, and lintian has nothing to say", async () => {
      const { said } = await packagesFor(cpu);
      for (const name of PACKAGES) assert.equal(await field(await fileOf(cpu, name), "Architecture"), cpu.debian);
      const [, files] = / sudo apt install (\S+)\n$/.exec(said);
      const { stdout: named } = await run("bash", ["-c", `printf '%s\\n' ${files}`]);
      assert.deepEqual(lines(named).sort(), (await Promise.all(PROGRAMS.map((name) => fileOf(cpu, name)))).sort());
      assert.equal((await judge(cpu)).stdout, "");
    });

    test("have all manual pages, and completions of all programs in all shells", async () => {
      const tree = await unpack(cpu);
      const files = new Map(await Promise.all(PACKAGES.map(async (name) => [name, await filesIn(await fileOf(cpu, name))])));
      const all = [...files.values()].flat();
      const pages = await readdir(join(ROOT, "docs/man"));
      const placeOf = (page) => `usr/share/man/man${page.at(-1)}/${page}.gz`;
      assert.deepEqual(all.filter((path) => path.startsWith("usr/share/man/")).sort(), pages.map(placeOf).sort());
      for (const page of pages) assert.equal(gunzipSync(await readFile(join(tree, placeOf(page)))).toString(), await read("docs/man", page));
      const isProgram = (path) => /^usr\/bin\/|^usr\/lib\/omniscient\//.test(path);
      for (const [name, paths] of files)
        for (const program of paths.filter(isProgram).map((path) => basename(path)))
          assert.ok(paths.some((path) => path.startsWith("usr/share/man/") && basename(path).startsWith(`${program}.`)), `${name} has a page about ${program}`);

      const options = (await readdir(ROOT)).filter((folder) => existsSync(join(ROOT, folder, "options.h"))).map((folder) => `omni-${folder}`);
      const shells = (await readdir(join(ROOT, "completions"))).map((name) => /^omni\.(\w+)$/.exec(name)?.[1]).filter(Boolean);
      const expected = options.flatMap((program) => shells.map((shell) => COMPLETIONS[shell](program)));
      assert.ok(expected.length > 0);
      assert.deepEqual(all.filter((path) => /completions/.test(path)).sort(), expected.sort());
      for (const program of options)
        for (const shell of shells) assert.ok(files.get(program.replace("omni", "omniscient")).includes(COMPLETIONS[shell](program)), `${program} in ${shell}`);
    });

    test("depend on Debian's libraries by name, on nothing of each other, and not on what is optional", async () => {
      const [robot, observer] = await Promise.all(PROGRAMS.map(async (name) => field(await fileOf(cpu, name), "Depends")));
      assert.match(robot, /\blibc6 \(>= [\d.]+\).*\blibgpiod[23]\b.*\blibinih1\b/);
      assert.match(observer, /^libwebsockets-evlib-uv,.*\blibmicrohttpd12\w* \(>=.*\blibwebsockets\d/);
      assert.doesNotMatch(robot + observer, /libsndfile|omniscient/);
    });

    test("have their programs, which run", async () => {
      const tree = await unpack(cpu);
      const sysroot = join(ROOT, "build/sysroot", cpu.arch);
      const launch = cpu.arch === OWN ? [] : [cpu.emulator, "-L", sysroot];
      for (const name of await readdir(join(tree, "usr/bin"))) {
        const [command, ...words] = [...launch, join(tree, "usr/bin", name), "--version"];
        assert.equal((await run(command, words)).stdout.trim(), `${name} ${VERSION}`);
      }
      assert.deepEqual(await readdir(join(tree, "usr/lib/omniscient")), [cpu.arch], "where the robot looks for its host of drivers");
    });

    test("have what a publisher of one's own is built with", async () => {
      const tree = await unpack(cpu);
      const elsewhere = { PKG_CONFIG_LIBDIR: join(tree, "usr/lib", cpu.triplet, "pkgconfig"), PKG_CONFIG_SYSROOT_DIR: tree };
      const env = { ...process.env, ...elsewhere, PKG_CONFIG_ALLOW_SYSTEM_LIBS: "1", PKG_CONFIG_ALLOW_SYSTEM_CFLAGS: "1" };
      const { stdout } = await run("pkg-config", ["--cflags", "--libs", "omni"], { env });
      const flags = stdout.trim().split(" ");
      assert.deepEqual(flags, [`-I${tree}/usr/include`, `-L${tree}/usr/lib/${cpu.triplet}`, "-lomni"]);
      const compiler = cpu.arch === OWN ? ["cc"] : [`${cpu.triplet}-gcc`];
      const program = join(place, `publisher-${cpu.arch}`);
      await run(compiler[0], [join(tree, "usr/share/doc/libomni-dev/examples/minimal_publisher.c"), ...flags, "-lm", "-o", program]);
      const { stdout: head } = await run("readelf", ["-h", program]);
      assert.match(head, new RegExp({ aarch64: "AArch64", armv7: "Machine: +ARM", x86_64: "X86-64" }[cpu.arch]));
    });
  });
}
