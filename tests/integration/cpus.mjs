// Which other CPUs' programs can run here: those that are built, where there is an emulator.

import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "./support.mjs";

const CPUS = readFileSync(join(ROOT, "scripts/architectures"), "utf8").split("\n").map((line) => line.split(/ +/));

/** What a CPU's programs lack to run here; undefined where nothing. `file`: of its build folder, made last. */
export function lacking(arch, file = "tests/programs/reader") {
  if (!existsSync(join(ROOT, "build", arch, file))) return `nothing is built for ${arch}`;
  const emulator = CPUS.find(([name]) => name === arch)[3];
  return process.env.PATH.split(":").some((folder) => canRun(join(folder, emulator))) ? undefined : `there is no ${emulator}`;
}

function canRun(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
