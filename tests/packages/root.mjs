// A clean Debian in a folder, to install packages in: made with mmdebstrap of this machine's release, from its mirrors.
// Nothing of this machine's own is in it. Its programs have a /dev/shm of their own, and none of them outlives the test.
// Network and processes are this machine's: a port of theirs is asked from here.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { run } from "../integration/raw.mjs";
import { Program, ROOT } from "../integration/support.mjs";

const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
const DIES = ["setpriv", "--pdeathsig", "KILL"]; // with the test, however that ends; not kept by who becomes another user
const MANY = { maxBuffer: 64 << 20 };

/** Whose mounts all others see; they are gone with the last of them. */
const HOLDER = `set -e
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=1777 shm "$1/dev/shm"
echo ready
exec sleep infinity
`;

/** What apt and dpkg keep for themselves, and what is not on its disk. */
const KEPT = /^(proc|sys|dev|tmp|debs|var\/log|var\/cache\/(apt|ldconfig|debconf)|var\/lib\/(apt|dpkg))(\/|$)/;
/** Users are never removed: files of theirs may still be somewhere (docs/packages.md). */
export const USERS = /^etc\/(passwd|group|shadow|gshadow)-?$/;

/** Why there can be none here; undefined where there can. */
export function lackingForRoots() {
  if (process.getuid() !== 0) return "it takes root to make a clean Debian in a folder";
  if (spawnSync("mmdebstrap", ["--version"]).status !== 0) return "there is no mmdebstrap (scripts/deps test)";
  const { status, stderr } = spawnSync("unshare", ["--mount", "mount", "-t", "proc", "proc", "/proc"]);
  return status === 0 ? undefined : `no mount namespace can be made here: ${stderr}`;
}

export class Root {
  constructor(directory) {
    this.directory = directory;
    this.programs = [];
  }

  file(...names) {
    return join(this.directory, ...names);
  }

  get nsenter() {
    return ["nsenter", "--target", String(this.holder.pid), "--mount", "chroot", this.directory];
  }

  /** Runs a command in it to its end; returns what it said. */
  async run(...words) {
    const [command, ...rest] = [...this.nsenter, ...words];
    const { stdout, stderr } = await run(command, rest, { env: ENVIRONMENT, ...MANY });
    return stdout + stderr;
  }

  /** Starts a program in it, as a user. */
  start(user, words, env = {}) {
    const [command, ...rest] = [...this.nsenter, "setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", ...DIES, ...words];
    const program = new Program(spawn(command, rest, { env: { ...ENVIRONMENT, ...env }, stdio: ["ignore", "pipe", "pipe"] }), words.join(" "));
    this.programs.push(program);
    return program;
  }

  /** Starts a service's program as its unit says, but without systemd and what that restricts. */
  async startUnit(name) {
    const unit = await readFile(this.file("lib/systemd/system", `${name}.service`), "utf8");
    const value = (key) => new RegExp(`^${key}=(.*)`, "m").exec(unit)?.[1] ?? "";
    const settings = await readFile(this.file(value("EnvironmentFile").slice(2)), "utf8");
    const pairs = [...value("Environment").split(" "), ...settings.split("\n").filter((line) => /^\w+=/.test(line))];
    const env = Object.fromEntries(pairs.filter(Boolean).map((pair) => pair.split(/=(.*)/)));
    if (value("StateDirectory")) await this.run("install", "-d", "-m", "700", "-o", value("User"), `/var/lib/${value("StateDirectory")}`);
    const words = value("ExecStart").replace("$OPTIONS", env.OPTIONS ?? "").trim().split(/ +/);
    return this.start(value("User"), words, env);
  }

  /** Every file that is not apt's or dpkg's own: path → what it is; files of /etc with what is in them. */
  async files() {
    const { stdout } = await run("find", [this.directory, "-xdev", "-mindepth", "1", "-printf", "%P\t%y %m %U %G %l\n"], MANY);
    const found = new Map();
    for (const [path, what] of stdout.split("\n").filter(Boolean).map((line) => line.split("\t"))) {
      if (KEPT.test(path)) continue;
      const isRead = path.startsWith("etc/") && what.startsWith("f");
      found.set(path, isRead ? `${what} ${createHash("sha256").update(await readFile(this.file(path))).digest("hex")}` : what);
    }
    return found;
  }

  async close() {
    await Promise.all([...this.programs, this.holder].map((program) => program?.stop("SIGKILL")));
    await rm(dirname(this.directory), { recursive: true, force: true });
  }
}

/** Makes one, without a running process. */
export async function makeRoot() {
  const place = await mkdtemp(join(tmpdir(), "omni-root-"));
  const root = new Root(join(place, "root"));
  const { stdout: debian } = await run("dpkg", ["--print-architecture"]);
  const { stdout: sources } = await run(join(ROOT, "scripts/mirrors"), [debian.trim()]);
  const { stdout: settings } = await run(join(ROOT, "scripts/mirrors"), ["--settings"]);
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(await readFile("/etc/os-release", "utf8"))[1];
  await writeFile(join(place, "sources.list"), sources);
  await writeFile(join(place, "apt.conf"), settings);
  // Neither waits for the disk, nor forgets what can be had.
  const options = ["--quiet", "--variant=minbase", "--mode=root", "--dpkgopt=force-unsafe-io", `--aptopt=${join(place, "apt.conf")}`, "--skip=cleanup/apt"];
  await run("mmdebstrap", [...options, suite, root.directory, join(place, "sources.list")], MANY);
  for (const file of ["resolv.conf", "hosts"]) await writeFile(root.file("etc", file), await readFile(join("/etc", file)).catch(() => ""));
  return root;
}

/** Lets programs run in it. */
export async function openRoot(root) {
  const [command, ...words] = [...DIES, "unshare", "--mount", "--propagation", "private", "sh", "-c", HOLDER, "holder", root.directory];
  root.holder = new Program(spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] }), "the clean Debian");
  await root.holder.says(/ready/);
}
