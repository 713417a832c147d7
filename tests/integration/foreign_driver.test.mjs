// Hardware drivers for another CPU than the robot's: the robot starts a host program for that CPU, under its emulator where
// this machine cannot run it. `scripts/test foreign` builds what is needed; what is not built is skipped by name.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { lacking, tripletOf } from "./cpus.mjs";
import { LAUNCHER, badDays, driver, goodDays, keepsItsRegion, pathOf } from "./driver_scenarios.mjs";
import { BUILD, ROOT, openPlace } from "./support.mjs";

const FILES = ["omni-driver-host", "tests/drivers/recorder.so"];
const options = (...archs) => ({
  timeout: 240_000,
  skip: archs.flatMap((arch) => FILES.map((file) => lacking(arch, file))).find((reason) => reason),
});

for (const arch of ["armv7", "aarch64"]) {
  const kind = { name: `a driver for ${arch}`, arch, isHosted: true };
  goodDays(kind, options(arch));
  badDays(kind, options(arch));
}

// What this is for: an old vendor's library of 32 bits, and a robot of 64. Both are emulated here.
goodDays({ name: "a driver for armv7 in a robot on aarch64", arch: "armv7", robotArch: "aarch64", isHosted: true }, options("armv7", "aarch64"));
goodDays({ name: "a driver for aarch64 in a robot on aarch64", arch: "aarch64", robotArch: "aarch64", isHosted: false }, options("aarch64"));

for (const arch of ["armv7", "aarch64"]) keepsItsRegion({ name: `a robot on ${arch}`, arch, robotArch: arch }, options(arch));

test("an emulator without that CPU's libraries is told, at once", options("armv7"), async (t) => {
  const place = await openPlace(t);
  const robot = place.start("omni-robot", ["--directory", place.directory, "--board", `driver:${driver("recorder", "armv7")}`], { env: { QEMU_LD_PREFIX: "/nowhere" } });
  assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
  assert.match(robot.stderr, /\S+omni-driver-host ended with status \d+ before it began: are the libraries of armv7 there \(.*QEMU_LD_PREFIX names their folder\)\?\n$/);
});

// There nothing says that a program cannot be run but the end of the process that was to run it.
test("a robot that is emulated itself tells of the emulator that its driver needs and is not there", options("armv7", "aarch64"), async (t) => {
  const place = await openPlace(t);
  const PATH = await pathOf(place, [...LAUNCHER, "qemu-aarch64"]);
  const args = ["--directory", place.directory, "--board", `driver:${driver("recorder", "armv7")}`];
  const robot = place.start("omni-robot", args, { arch: "aarch64", env: { PATH } });
  assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
  assert.match(robot.stderr, /^this CPU cannot run programs for armv7, and there is no qemu-arm: install it \(Debian: qemu-user\)\n$/m);
});

for (const arch of ["armv7", "aarch64"])
  test(`what a compiler for ${arch} has made is installed where a robot finds it, whatever this machine is`, options(arch), async (t) => {
    const place = await openPlace(t);
    const [image, sysroot] = [join(place.directory, "image"), join(ROOT, "build/sysroot", arch)];
    // No ARCH: CC alone says what for. All is made already.
    await promisify(execFile)("make", ["-C", ROOT, "-o", `build/${arch}/omni-driver-host`, "install-driver-host", `BUILD=build/${arch}`,
      `CC=${tripletOf(arch)}-gcc --sysroot=${sysroot}`, `DESTDIR=${image}`, "PREFIX=/usr"]);
    await mkdir(join(image, "usr/bin"));
    await copyFile(join(BUILD, "omni-robot"), join(image, "usr/bin/omni-robot"));
    const args = ["--directory", place.directory, "--board", `driver:${driver("recorder", arch)}`, "--driver-config", place.directory, "--ticks", "3"];
    const robot = place.start(relative(BUILD, join(image, "usr/bin/omni-robot")), args, { env: { QEMU_LD_PREFIX: sysroot } });
    assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
    assert.match(robot.stderr, new RegExp(`open in process \\d+ \\(${arch}, qemu-`));
  });
