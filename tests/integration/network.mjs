// Machines on a network of their own, each in namespaces of this one: a host name, network interfaces, a process tree, and
// /run and /tmp. Nothing in them reaches this machine's network, and all of it is gone when the test ends. On each, real
// daemons can be started: D-Bus and Avahi.

import { spawn, spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { run } from "./raw.mjs";
import { Program, until } from "./support.mjs";

const NAMESPACES = ["--net", "--uts", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
const PATHS = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
// Mounts a /run of its own, and says that it is there; then it is the first process, and waits for the end of the test.
const BOOT = `set -e
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/dbus /run/avahi-daemon
hostname "$1"
ip link set lo up
echo up
exec cat
`;

/** Why there can be no such machines here; undefined where there can. */
export function lackingForNetworks() {
  if (process.getuid() !== 0) return "it takes root to make a machine's namespaces";
  const { status, stderr } = spawnSync("unshare", [...NAMESPACES, "sh", "-c", "mount -t proc proc /proc && ip link add one type veth peer name other"]);
  if (status !== 0) return `no network namespace can be made here: ${stderr}`;
  for (const command of ["dbus-daemon", "avahi-daemon", "avahi-browse"])
    if (spawnSync("sh", ["-c", `command -v ${command}`], { env: PATHS }).status !== 0) return `there is no ${command} (scripts/deps test installs it)`;
  return undefined;
}

/** One of them. */
class Host {
  constructor(place, name, program, init) {
    Object.assign(this, { place, name, program, init });
    this.within = ["nsenter", "--target", String(init), "--net", "--uts", "--mount", "--pid"];
  }

  /** Runs a command there, and returns what it printed. */
  async ask(...words) {
    const { stdout } = await run(this.within[0], [...this.within.slice(1), ...words], { env: { ...process.env, ...PATHS } });
    return stdout;
  }

  /** Starts a program there; `stop()` ends it. */
  start(...words) {
    const child = spawn(this.within[0], [...this.within.slice(1), ...words], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...PATHS, HOME: this.place.directory } });
    const program = new Program(child, words[0]);
    this.place.programs.push(program);
    return program;
  }

  /** The process id, here, of what was started there: a child of nsenter. */
  async idOf(program) {
    return Number(await readFile(`/proc/${program.pid}/task/${program.pid}/children`, "utf8"));
  }

  /** Gives it the signal. */
  async signal(program, name) {
    process.kill(await this.idOf(program), name);
  }

  /** Ends what was started there; returns its exit code, 128 and the signal's number where that ended it. */
  async end(program, name = "SIGTERM") {
    await this.signal(program, name);
    return (await program.ended).code;
  }

  /** A system bus, as Debian configures it, but for its user. */
  async startBus() {
    const bus = this.start("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", `--config-file=${join(this.place.directory, "system.conf")}`);
    await until(`${this.name} has a system bus`, () => this.ask("test", "-S", "/run/dbus/system_bus_socket").then(() => true, () => false));
    return bus;
  }

  /** A running avahi-daemon, which needs a system bus. */
  async startAvahi() {
    const daemon = this.start("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", `--file=${join(this.place.directory, "avahi.conf")}`);
    await daemon.says(/Server startup complete/, "stderr");
    return daemon;
  }

  /** Lets its daemon listen for services of that type: what `found()` gives is what it has heard and not lost again. */
  async listenFor(type) {
    this.type = type;
    this.listener = this.start("avahi-browse", type);
    await until(`${this.name} has asked`, () => this.ask("avahi-browse", "--terminate", type).then(() => true, () => false));
  }

  /**
   * The services that avahi-browse finds from there: [{ link, family, name, host, address, port, texts }]. Undefined where
   * it does not know: a service that goes while it asks for its address is waited for in vain.
   */
  async found() {
    const said = await this.ask("timeout", "2", "avahi-browse", "--resolve", "--parsable", "--cache", this.type).catch(() => undefined);
    if (said === undefined) return undefined;
    const lines = said.split("\n");
    return lines.filter((line) => line.startsWith("=")).map((line) => {
      const [, link, family, name, , , host, address, port, ...texts] = line.split(";");
      const plain = name.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number(code)));
      return { link, family, name: plain, host, address, port: Number(port), texts: [...texts.join(";").matchAll(/"([^"]*)"/g)].map(([, text]) => text) };
    });
  }
}

// As Debian's, but for its user: the daemons there are root's, and no systemd's.
export const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
  <includedir>/etc/dbus-1/system.d</includedir>
</busconfig>
`;
export const AVAHI = "[server]\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=yes\n[publish]\npublish-workstation=no\npublish-hinfo=no\n";

/** Hosts with these names, on one network: eth0 has the addresses 10.77.0.1, 10.77.0.2, ... */
export async function startNetwork(place, names) {
  await writeFile(join(place.directory, "system.conf"), BUS);
  await writeFile(join(place.directory, "avahi.conf"), AVAHI);
  const hosts = [];
  for (const name of names) {
    const child = spawn("unshare", [...NAMESPACES, "sh", "-c", BOOT, "boot", name], { stdio: ["pipe", "pipe", "pipe"] });
    const program = new Program(child, name);
    place.programs.push(program); // with it, all that runs there ends
    await program.says(/up/);
    const init = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"));
    hosts.push(new Host(place, name, program, init));
  }
  await joinHosts(hosts);
  return hosts;
}

/** The first one has a bridge, to which the others are connected. */
async function joinHosts([first, ...others]) {
  const ip = (host, line) => run("nsenter", ["--target", String(host.init), "--net", "ip", ...line.split(" ")]);
  await ip(first, "link add eth0 type bridge");
  for (const [i, other] of others.entries()) {
    await ip(first, `link add port${i} type veth peer name eth0 netns ${other.init}`);
    await ip(first, `link set port${i} master eth0 up`);
  }
  for (const [i, host] of [first, ...others].entries()) {
    await ip(host, `addr add 10.77.0.${i + 1}/24 dev eth0`);
    await ip(host, "link set eth0 up");
  }
}
