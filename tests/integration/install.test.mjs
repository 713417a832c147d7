// What a newcomer types: `make run` (its script, on a free port), `make install`, and a program of
// one's own against what was installed.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, constants, copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { elf } from "./cpus.mjs";
import { ask } from "./raw.mjs";
import { BUILD, openPlace, until } from "./support.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);
const options = { timeout: 120_000 };

test("make run starts both, prints a link that shows the robot, and ends both", options, async (t) => {
  const place = await openPlace(t);
  const both = place.start("../../scripts/run", [BUILD, "--listen", "127.0.0.1:0"], { env: { OMNI_DIRECTORY: place.directory } });
  const [link] = await both.says(/http:\/\/\S+(?=\n)/);
  assert.equal((await fetch(link)).status, 200);
  const status = await until("the robot ticks", async () => {
    const answer = await fetch(new URL("/api/status?source=robot", link));
    return answer.status === 200 && answer.json();
  });
  assert.equal(typeof status.values.direction, "number");
  assert.deepEqual(await both.stop("SIGINT"), { code: 0, signal: null });
  assert.match(both.stdout + both.stderr, /robot/i);
  await assert.rejects(fetch(link), "the observer has ended");
  const { stdout } = await run(join(BUILD, "omni-observer"),
    ["list", "--json", "--directory", place.directory]);
  assert.equal(JSON.parse(stdout).reason, "closed", "the robot said goodbye");
});

test("make install puts everything below DESTDIR, and a program builds against it", options, async (t) => {
  const place = await openPlace(t);
  const image = join(place.directory, "image");
  await run("make", ["-C", ROOT, "install", `DESTDIR=${image}`, "PREFIX=/usr"]);
  for (const file of ["bin/omni-robot", "bin/omni-observer", "bin/omni-relay"]) await access(join(image, "usr", file), constants.X_OK);
  for (const file of ["lib/libomni.a", "lib/pkgconfig/omni.pc", "include/omni/publish.h"]) await access(join(image, "usr", file));
  for (const page of await readdir(join(ROOT, "docs/man"))) await access(join(image, `usr/share/man/man${page.at(-1)}`, page));
  for (const file of ["bash-completion/completions/omni-robot", "zsh/site-functions/_omni-observer", "fish/vendor_completions.d/omni-robot.fish"])
    assert.match(await readFile(join(image, "usr/share", file), "utf8"), /Made from the options of omni-|all programs/);
  await assert.rejects(access(join(image, "usr/include/omni/atomics.h")), "what is inside stays inside");
  const [cpu] = await readdir(join(image, "usr/lib/omniscient"));
  await access(join(image, "usr/lib/omniscient", cpu, "omni-driver-host"), constants.X_OK);

  const source = join(place.directory, "my_robot.c");
  await copyFile(join(ROOT, "examples/minimal_publisher.c"), source);
  const env = { ...process.env, PKG_CONFIG_LIBDIR: join(image, "usr/lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR: image, PKG_CONFIG_ALLOW_SYSTEM_LIBS: "1", PKG_CONFIG_ALLOW_SYSTEM_CFLAGS: "1" };
  const flags = (await run("pkg-config", ["--cflags", "--libs", "omni"], { env })).stdout.trim().split(" ");
  assert.deepEqual(flags, [`-I${image}/usr/include`, `-L${image}/usr/lib`, "-lomni"]);
  await run("cc", [source, ...flags, "-lm", "-o", join(place.directory, "my_robot")]);
  await access(join(place.directory, "my_robot"), constants.X_OK);

  // And a driver, which the installed robot keeps apart in the installed host.
  const driver = join(place.directory, "loopback.so");
  await copyFile(join(ROOT, "examples/driver_loopback.c"), join(place.directory, "loopback.c"));
  await run("cc", ["-Wall", "-Wextra", "-Werror", `-I${image}/usr/include`, "-shared", "-fPIC", "-o", driver, join(place.directory, "loopback.c")]);
  const args = ["--board", `driver:${driver}`, "--driver-config", "900", "--isolate-driver", "--directory", place.directory, "--ticks", "5"];
  const { stderr } = await run(join(image, "usr/bin/omni-robot"), args);
  assert.match(stderr, /open in process \d+/);
});

test("make install-services puts units, users, folders and settings in place, and leaves settings that are there", options, async (t) => {
  const place = await openPlace(t);
  const install = () => run("make", ["-C", ROOT, "install-services", `DESTDIR=${place.directory}`, "PREFIX=/opt/omni"]);
  const read = (...names) => readFile(join(place.directory, ...names), "utf8");
  await install();
  for (const unit of await readdir(join(ROOT, "packaging/systemd")))
    if (/\.(service|socket)$/.test(unit)) assert.doesNotMatch(await read("opt/omni/lib/systemd/system", unit), /\/usr\/local/);
  assert.match(await read("opt/omni/lib/systemd/system/omni-robot.service"), /^ExecStart=\/opt\/omni\/bin\/omni-robot /m);
  assert.match(await read("opt/omni/lib/sysusers.d/omniscient.conf"), /^u omni-observer /m);
  assert.match(await read("opt/omni/lib/tmpfiles.d/omniscient.conf"), /^d \/run\/omniscient /m);
  for (const name of ["robot.conf", "relay.conf", "observer.conf"]) assert.doesNotMatch(await read("etc/omniscient", name), /^[^#]/m, "nothing is set");
  await writeFile(join(place.directory, "etc/omniscient/robot.conf"), "OPTIONS=--name mine\n");
  await install();
  assert.equal(await read("etc/omniscient/robot.conf"), "OPTIONS=--name mine\n");
});

// What has no ARCH: a packager's CC for another CPU; a 32-bit Debian, whose CC makes what it runs, on a 64-bit kernel, which
// says its own name. A file's head stands in for what such a CC has made.
const BUILDS = [
  [{ machine: 183 }],
  [{ machine: 40, width: 1 }],
  [{ machine: 40, width: 1 }, "MACHINE=aarch64"],
  [{ machine: 40, width: 1 }, "MACHINE=armv7l"],
  [{ machine: 3, width: 1 }],
  [{ machine: 3, width: 1 }, "MACHINE=i686"],
  [{ machine: 62 }],
  [{ machine: 243 }],
  [{ machine: 22, order: 2 }],
];

test("make installs the host program where the robot looks for it: by the CPU that it was made for", options, async (t) => {
  for (const [cpu, ...variables] of BUILDS) {
    const place = await openPlace(t);
    const [image, made, driver] = ["image", "omni-driver-host", "driver.so"].map((name) => join(place.directory, name));
    for (const file of [made, driver]) await writeFile(file, elf(cpu), { mode: 0o755 });
    await mkdir(join(image, "usr/bin"), { recursive: true });
    await copyFile(join(BUILD, "omni-robot"), join(image, "usr/bin/omni-robot"));
    const asked = async () => {
      const args = ["--directory", place.directory, "--board", `driver:${driver}`, "--isolate-driver"];
      const robot = place.start(relative(BUILD, join(image, "usr/bin/omni-robot")), args, { env: { PATH: place.directory } });
      assert.deepEqual(await robot.ended, { code: 2, signal: null });
      return robot.stderr;
    };
    const [, name] = /\bis for (\w+), /.exec(await asked());
    await run("make", ["-C", ROOT, "-o", made, "install-driver-host", `DRIVER_HOST=${made}`, `BUILD=${BUILD}`, `DESTDIR=${image}`, "PREFIX=/usr", ...variables]);
    assert.deepEqual(await readdir(join(image, "usr/lib/omniscient")), [name], `${JSON.stringify(cpu)} ${variables}`);
    await access(join(image, "usr/lib/omniscient", name, "omni-driver-host"), constants.X_OK);
    assert.doesNotMatch(await asked(), /there is no omni-driver-host/, name);
  }
});

test("a CPU that takes no drivers has the host program installed under the machine's name, and is told", options, async (t) => {
  const place = await openPlace(t);
  const made = join(place.directory, "omni-driver-host");
  await writeFile(made, elf({ machine: 258 }), { mode: 0o755 });
  const { stderr } = await run("make", ["-C", ROOT, "-o", made, "install-driver-host", `DRIVER_HOST=${made}`, `BUILD=${BUILD}`,
    `DESTDIR=${place.directory}`, "PREFIX=/usr", "MACHINE=loongarch64"]);
  assert.match(stderr, /^cpu-of: \S+ is for a CPU that omni-robot takes no drivers for \(ELF machine 258\)$/m);
  await access(join(place.directory, "usr/lib/omniscient/loongarch64/omni-driver-host"), constants.X_OK);
});

const ROVER = `
#include <omni/observe.h>
#include <omni/publish.h>
#include <omni/wait.h>
#define MODES(LABEL) LABEL(ROVER_IDLE, "idle") LABEL(ROVER_DRIVES, "drives")
#define ROVER(FIELD)                                               \\
    FIELD(number, f64, speed, "m/s", 0, 2, "Over ground")           \\
    FIELD(numbers, f32, wheels, 2, "%", -100, 100, "Left and right") \\
    FIELD(choice, mode, MODES, "What it does")                       \\
    FIELD(flag, lights, "Whether they are on")
OMNI_ENUM(rover_mode, MODES)
OMNI_STATUS(rover, ROVER)
int main(int, char **words) {
    omni_publisher *publisher = nullptr;
    omni_publisher_options options = {};
    omni_problem problem;
    options.directory = words[1];
    if (omni_publisher_open(&publisher, "rover", rover_schema(), &options, &problem) < 0)
        return 2;
    rover status = {};
    status.speed = 1.5;
    status.mode = ROVER_DRIVES;
    omni_publish(publisher, &status);
    omni_publisher_close(publisher);
}
`;

test("a publisher in C++ builds, and shows what it publishes", options, async (t) => {
  const place = await openPlace(t);
  const source = join(place.directory, "rover.cpp");
  await writeFile(source, ROVER);
  const headers = join(BUILD, "include");
  await run("g++", ["-std=c++17", "-Wall", "-Wextra", "-Werror", `-I${headers}`, source, join(BUILD, "libomni.a"), "-lm", "-o", join(place.directory, "rover")]);
  await run(join(place.directory, "rover"), [place.directory]);
  const observer = await place.startObserver();
  const { values } = await until("its status", async () => {
    const answer = await ask(observer, "/api/status?source=rover");
    return answer.status === 200 && JSON.parse(answer.text);
  });
  assert.deepEqual(values, { speed: 1.5, wheels: [0, 0], mode: "drives", lights: false });
});
