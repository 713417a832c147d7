// Real virtual machines for a test: Debian's kernel, busybox and the project's own programs in an initramfs made here, on
// an emulated CPU (no hardware virtualisation is needed). A machine reads commands from its serial console and says what
// came of them:
//
//     machineTest("what it proves", [OWN], async (t) => {
//       const machine = await startMachine(t, { devices: doorbellDevice("/path/of/socket") });
//       const { code, text } = await machine.run("omni-observer list");
//       await machine.kill(); // as if its plug were pulled
//     });
//
// No machine outlives its test: it is killed by its process id when the test ends, dies with Node (setpriv), and
// switches itself off after LIFETIME_S. When a test fails, its console is shown.
//
// Emulation must be multi-threaded and the machine must have two CPUs: otherwise the emulator replaces atomic
// instructions of the guest by plain ones, because nobody else could be looking; but here the host is.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { arch as nodeArch, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { addPrograms, pack } from "./archive.mjs";

const PATIENCE_MS = 120_000;
const LIFETIME_S = 240;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** This machine's CPU, and one that it is not. */
export const OWN = { x64: "x86_64", arm64: "aarch64" }[nodeArch()] ?? nodeArch();
export const OTHER = OWN === "aarch64" ? "x86_64" : "aarch64";

const KINDS = {
  x86_64: { emulator: "qemu-system-x86_64", board: ["-M", "pc"], console: "ttyS0", triplet: "x86_64-linux-gnu" },
  aarch64: {
    emulator: "qemu-system-aarch64",
    board: ["-M", "virt", "-cpu", "cortex-a57"],
    console: "ttyAMA0",
    triplet: "aarch64-linux-gnu",
  },
};

/** Where the device stands that the tests give their machines. */
export const SLOT = "0000:00:04.0";
const AT_SLOT = "addr=04.0";

const isCommand = (name) => process.env.PATH.split(":").some((folder) => existsSync(join(folder, name)));
export const systemOf = (arch) => join(ROOT, "build/vm", arch);

/** What is missing for machines with that CPU; undefined where nothing is. */
export function lacking(arch) {
  const kind = KINDS[arch];
  if (!kind) return `no virtual machine is described for ${arch}`;
  if (!isCommand(kind.emulator)) return `there is no ${kind.emulator} (scripts/deps vm)`;
  if (!isCommand("readelf")) return "there is no readelf (scripts/deps build)";
  if (!existsSync(join(systemOf(arch), "boot"))) return `there is no kernel for ${arch} (scripts/guest ${arch})`;
  if (!existsSync(join(ROOT, "build", arch, "omni-robot"))) return `nothing is built for ${arch}`;
  return undefined;
}

function kernelOf(arch) {
  const folder = join(systemOf(arch), "boot");
  return join(folder, readdirSync(folder).find((name) => name.startsWith("vmlinuz-")));
}

// A shell that waits for the rest of a line forgets what it has of it when a child ends, and the end of orphans is told to
// the first process. So lines come through a program that hands each over as a whole, and orphans are not the shell's.
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /tmp
mount -t tmpfs shm /dev/shm
ip link set lo up
stty raw -echo
(sleep ${LIFETIME_S}; poweroff -f) </dev/null >/dev/null 2>&1 &
echo '<ready>'
awk '{ print; fflush() }' | while IFS= read -r line; do
  eval "$line"
  echo "<done $?>"
done
poweroff -f
`;

/** The project's programs for that CPU; some may be named that stand elsewhere. */
function programsOf(arch, instead) {
  const built = ["omni-robot", "omni-observer", "tests/programs/publisher", "tests/programs/reader", "tests/programs/gpio_world", "bench/guest"]
    .filter((name) => existsSync(join(ROOT, "build", arch, name)));
  return [...built.map((name) => join(ROOT, instead[name] ?? `build/${arch}/${name}`)), join(systemOf(arch), "usr/bin/strace")];
}

export function librariesOf(arch, first = []) {
  const { triplet } = KINDS[arch];
  const roots = [...first.map((root) => join(ROOT, root)), arch === OWN ? "/" : join(ROOT, "build/sysroot", arch), systemOf(arch)];
  const folders = [`usr/lib/${triplet}`, `lib/${triplet}`, "lib64", "lib", "usr/local/lib"];
  return roots.flatMap((root) => folders.map((folder) => join(root, folder)));
}

const images = new Map();

/** The initramfs of a CPU, with files of a test's own: the same for all machines of a test file. */
function imageOf(arch, own, programs, sysroots) {
  const key = JSON.stringify([arch, programs]);
  if (!images.has(key)) {
    const files = new Map(["bin", "dev", "lib", "proc", "sys", "tmp"].map((name) => [name, undefined]));
    files.set("init", Buffer.from(INIT));
    files.set("bin/busybox", readFileSync(join(systemOf(arch), "bin/busybox")));
    addPrograms(files, programsOf(arch, programs), librariesOf(arch, sysroots));
    for (const [name, bytes] of own) files.set(name, bytes);
    images.set(key, pack(files));
  }
  return images.get(key);
}

class Machine {
  constructor(child, title) {
    this.child = child;
    this.title = title;
    this.pid = child.pid;
    this.console = "";
    this.read = 0; // of the console
    this.turn = Promise.resolve();
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (this.console += text));
    child.stdin.on("error", () => {}); // it was killed
    this.ended = once(child, "close");
  }

  get isRunning() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The end of what its console showed. */
  get lately() {
    return this.console.slice(-8000);
  }

  /** Waits for a match in what came from the console since the last time. */
  async hears(pattern) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const match = pattern.exec(this.console.slice(this.read));
      if (match) {
        this.read += match.index + match[0].length;
        return match;
      }
      assert.ok(this.isRunning, `the machine ended while waiting for ${pattern}:\n${this.lately}`);
      assert.ok(Date.now() < end, `the machine never said ${pattern}:\n${this.lately}`);
      await sleep(5);
    }
  }

  /** Runs a line of shell in it, one at a time. Returns its exit code and all that it printed. */
  run(line) {
    this.turn = this.turn.then(async () => {
      this.child.stdin.write(`${line}\n`);
      const [, text, code] = await this.hears(/([^]*?)<done (\d+)>\n/);
      return { code: Number(code), text };
    });
    return this.turn;
  }

  /** The same, and fails where the line fails. Returns what it printed. */
  async must(line) {
    const { code, text } = await this.run(line);
    assert.equal(code, 0, `${line}: ${text}`);
    return text;
  }

  /** Starts a program that goes on; its output is in /tmp/NAME.out. Returns its process id there. */
  async start(name, line) {
    const pid = await this.must(`${line} >/tmp/${name}.out 2>&1 </dev/null & echo $!`);
    return Number(pid);
  }

  /** What a program that was started has said so far. */
  async output(name) {
    return (await this.run(`cat /tmp/${name}.out`)).text;
  }

  /** Waits until a line of shell succeeds. */
  async until(line) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const { code, text } = await this.run(line);
      if (code === 0) return text;
      assert.ok(Date.now() < end, `in vain in the machine: ${line}\n${text}`);
      await sleep(20);
    }
  }

  /** Pulls the plug. */
  async kill() {
    if (this.isRunning) this.child.kill("SIGKILL");
    await this.ended;
  }
}

const started = new WeakMap(); // test → its machines

/**
 * A test with machines of these CPUs: skipped by name where there can be none, with their consoles where it fails.
 * `lacks`: what else is missing, if something is.
 */
export function machineTest(name, arches, body, lacks = undefined) {
  const skip = arches.map(lacking).find(Boolean) ?? lacks;
  test(name, { skip, timeout: 600_000 }, async (t) => {
    started.set(t, []);
    try {
      await body(t);
    } catch (error) {
      for (const { title, lately } of started.get(t)) t.diagnostic(`console of the ${title} machine:\n${lately}`);
      throw error;
    }
  });
}

function commandFor(arch, image, devices) {
  const { emulator, board, console: terminal } = KINDS[arch];
  const kernel = ["-kernel", kernelOf(arch), "-initrd", image];
  const words = `console=${terminal} quiet loglevel=3 panic=-1 rdinit=/init`;
  const command = [
    ...[emulator, ...board, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "384", "-nodefaults", "-no-user-config"],
    ...["-display", "none", "-no-reboot", "-serial", "stdio", ...kernel, "-append", words, ...devices],
  ];
  return isCommand("setpriv") ? ["setpriv", "--pdeathsig", "KILL", "--", ...command] : command;
}

/**
 * Starts a machine and waits until it takes commands. `image`: its first file system, instead of the usual one.
 * @param {import("node:test").TestContext} t
 * @param {{ arch?: string, devices?: string[], image?: Buffer, files?: Map<string, Buffer>, programs?: Record<string, string>, sysroots?: string[] }} [how]
 *   files: by path without a leading slash; programs: paths of some in this project that are to be taken instead of build/ARCH's,
 *   and sysroots: where their libraries are looked for first
 */
export async function startMachine(t, { arch = OWN, devices = [], files = new Map(), programs = {}, sysroots = [], image: own } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "omni-vm-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const image = join(folder, "initramfs");
  await writeFile(image, own ?? imageOf(arch, files, programs, sysroots));
  const [program, ...words] = commandFor(arch, image, devices);
  const machine = new Machine(spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] }), arch);
  t.after(() => machine.kill());
  started.get(t)?.push(machine);
  await machine.hears(/<ready>\n/);
  return machine;
}

/** Arguments for a machine with shared memory in a host's file: no server, no doorbell. */
export const plainDevice = (file, bytes) => [
  "-object", `memory-backend-file,id=shared,mem-path=${file},size=${bytes},share=on`,
  "-device", `ivshmem-plain,memdev=shared,${AT_SLOT}`,
];

/** Arguments for a machine on a server's socket. */
export const doorbellDevice = (socket) => [
  "-chardev", `socket,id=server,path=${socket}`, "-device", `ivshmem-doorbell,chardev=server,${AT_SLOT}`,
];
