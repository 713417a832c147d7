// For tests of memory that machines share, with a file in the place of a PCI device.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { askJson } from "./raw.mjs";
import { openPlace, until } from "./support.mjs";

const PROCESS_ID_OFFSET = 100; // shared/segment.h

/** A folder with an address in it. The folder of segments is another one: nothing of a region may appear there. */
export async function openRegion(t) {
  const place = await openPlace(t);
  const file = join(place.directory, "region");
  return { place, file, address: `file:${file}` };
}

/** Starts something that publishes there, and waits until it does. */
export async function publishAt({ place, file, address }, program = "omni-robot", args = []) {
  const started = place.start(program, ["--name", "robot", "--region", address, ...args]);
  await until(`${program} publishes at ${address}`, async () => {
    if (!started.isRunning) assert.fail(`${program} ended: ${started.stderr}`);
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    return bytes.length > 256 && bytes.readUInt32LE(PROCESS_ID_OFFSET) === started.pid && bytes.readUInt32LE(192) !== 0;
  });
  return started;
}

export async function command(place, ...args) {
  const program = place.start("omni-observer", args);
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

export const listed = async ({ place, address }) => {
  const { stdout } = await command(place, "list", "--json", "--directory", place.directory, "--region", address);
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
};

/** Waits until the observer shows the source so. */
export async function awaitState(observer, state, reason, accept = () => true) {
  return until(`${state} ${reason}`, async () => {
    const { sources } = await askJson(observer, "/api/sources");
    const source = sources.find(({ name }) => name === "robot");
    return source?.state === state && source.reason === reason && accept(source) && source;
  });
}
