// The first file system of a virtual machine (Linux' initramfs): files of this machine, packed as cpio ("newc") without
// root's help, and the libraries that the programs among them need.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";

const DIRECTORY = 0o040755;
const EXECUTABLE = 0o100755;
const PAD = Buffer.alloc(4);

function entry(number, name, mode, bytes) {
  const fields = [number, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
  const padding = (length) => PAD.subarray(0, (4 - (length % 4)) % 4);
  return [Buffer.from(head), padding(head.length), bytes, padding(bytes.length)];
}

/** @param {Map<string, Buffer | undefined>} files by path without a leading slash; undefined: a directory */
export function pack(files) {
  const parts = [...files].map(([name, bytes], i) =>
    entry(i + 1, name, bytes ? EXECUTABLE : DIRECTORY, bytes ?? Buffer.alloc(0)),
  );
  return Buffer.concat([...parts, entry(0, "TRAILER!!!", 0, Buffer.alloc(0))].flat());
}

/** What a program asks to be loaded with: names of libraries, and the path of its loader ("" where it has none). */
function needs(program) {
  const text = execFileSync("readelf", ["--wide", "-d", "-l", program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return {
    libraries: [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name),
    loader: /program interpreter: (.+)\]/.exec(text)?.[1] ?? "",
  };
}

/**
 * Adds programs to /bin, with all libraries that they need, found in `folders`.
 * @param {Map<string, Buffer | undefined>} files
 */
export function addPrograms(files, programs, folders) {
  const seen = new Set();
  const find = (name) => {
    const folder = folders.find((one) => existsSync(join(one, name)));
    assert.ok(folder, `no library ${name} in ${folders.join(", ")}`);
    return realpathSync(join(folder, name));
  };
  const addLibraries = (program) => {
    const { libraries, loader } = needs(program);
    if (loader && !files.has(loader.slice(1))) {
      addFolders(files, loader.slice(1));
      files.set(loader.slice(1), readFileSync(find(basename(loader))));
    }
    for (const name of libraries.filter((one) => !seen.has(one))) {
      seen.add(name);
      files.set(`lib/${name}`, readFileSync(find(name)));
      addLibraries(find(name));
    }
  };
  for (const program of programs) {
    files.set(`bin/${basename(program)}`, readFileSync(program));
    addLibraries(program);
  }
}

function addFolders(files, path) {
  const names = path.split("/").slice(0, -1);
  names.forEach((_, i) => files.set(names.slice(0, i + 1).join("/"), undefined));
}
