// Hardware drivers for another CPU than the robot's: the robot starts a host program for that CPU, under its emulator where
// this machine cannot run it. `scripts/test foreign` builds what is needed; what is not built is skipped by name.

import { lacking } from "./cpus.mjs";
import { badDays, goodDays } from "./driver_scenarios.mjs";

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
