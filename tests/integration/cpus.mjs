// Other CPUs: whose programs can run here (those that are built, where there is an emulator); files that are for one.

import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "./support.mjs";

const CPUS = readFileSync(join(ROOT, "scripts/architectures"), "utf8").split("\n").map((line) => line.split(/ +/));

/** What a CPU's programs lack to run here; undefined where nothing. `file`: of its build folder, made last. */
export function lacking(arch, file = "tests/programs/reader") {
  if (!existsSync(join(ROOT, "build", arch, file))) return `nothing is built for ${arch}`;
  const emulator = emulatorOf(arch);
  return process.env.PATH.split(":").some((folder) => canRun(join(folder, emulator))) ? undefined : `there is no ${emulator}`;
}

/** The program that runs that CPU's programs here. */
export function emulatorOf(arch) {
  return CPUS.find(([name]) => name === arch)[3];
}

/** As compilers have it in their names. */
export function tripletOf(arch) {
  return CPUS.find(([name]) => name === arch)[2];
}

function canRun(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first bytes of a shared object for some CPU, as elf(5) names them: a stand-in, which nothing can run. */
export function elf({ width = 2, order = 1, machine, type = 3 }) {
  const bytes = Buffer.alloc(64);
  bytes.write("\x7fELF", "latin1");
  bytes.set([width, order, 1], 4);
  for (const [at, value] of [[16, type], [18, machine]]) order === 1 ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  return bytes;
}
