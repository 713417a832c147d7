// Another machine for scripts/deploy, made of this one: a real ssh server in a mount and process namespace with an
// /etc, /usr/local, /run, /var/lib and /dev/shm of its own. What is installed there is gone with it, and so are the
// programs that run there: they end when the server does.
//
// What is not real is systemd: it cannot run there. A stand-in for systemctl writes down what it is asked for, and
// starts and ends the units' programs as the units say (ExecStart, User, Environment, EnvironmentFile, StateDirectory).


import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";

import { run } from "./raw.mjs";
import { Program } from "./support.mjs";

const SYSTEMCTL = `#!/bin/sh
echo "$*" >>/run/stand-in/log
verb= unit=
for word; do
  case $word in
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else unit=\${word%.service}; fi ;;
  esac
done
file=/etc/systemd/system/$unit.service
pid=/run/stand-in/$unit.pid
value() { sed -n "s/^$1=//p" "$file"; }
is_running() { [ -s "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }
stop() {
  is_running && kill "$(cat "$pid")"
  while is_running; do sleep 0.02; done
  rm -f "$pid"
}
start() {
  user=$(value User)
  set -a
  eval "$(value Environment)"
  for settings in $(value EnvironmentFile); do [ ! -f "\${settings#-}" ] || . "\${settings#-}"; done
  for folder in $(value StateDirectory); do install -d -m 700 -o "$user" "/var/lib/$folder"; done
  eval "exec setpriv --reuid=$user --regid=$user --clear-groups $(value ExecStart)" >>/run/stand-in/$unit.said 2>&1 </dev/null &
  echo $! >"$pid"
  # Until it waits for something, or has ended: however busy this machine is, what follows sees which.
  while is_running && ! grep -q '(omni-[a-z]*) S' "/proc/$(cat "$pid")/stat"; do sleep 0.02; done
}
case $verb in
  is-active) if is_running; then echo active; elif [ -s "$pid" ]; then echo failed; else echo inactive; fi ;;
  stop) stop ;;
  start) start ;;
  restart) stop; start ;;
esac
`;

/** What the namespace consists of; $1: its folder, $2: the size of its /usr/local. Becomes the server. */
const BOOT = `set -e
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount -t proc proc /proc
mount -t tmpfs -o "size=$2,mode=755" tmpfs /usr/local
for folder in /run /var/lib; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/sshd /run/stand-in /usr/local/sbin
rm -rf /etc/systemd/system /etc/omniscient
[ ! -f "$1/has-systemd" ] || mkdir -p /run/systemd/system
cp "$1"/sbin/* /usr/local/sbin
[ -z "$3" ] || useradd --no-create-home --shell /bin/sh --password '*' "$3"
case $4 in
  none) [ ! -e /usr/bin/sudo ] || mount --bind /dev/null /usr/bin/sudo ;;
  free) echo "$3 ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/test ;;
esac
exec "$5" -D -e -f "$1/sshd_config"
`;

const SERVER = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/** Why there can be no such machine here; undefined where there can. */
export function lackingForMachines() {
  if (process.getuid() !== 0) return "it takes root to make a machine's namespaces";
  if (!SERVER.some((file) => spawnSync("test", ["-x", file]).status === 0)) return "there is no sshd (scripts/deps test installs it)";
  const { status, stderr } = spawnSync("unshare", ["--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc"]);
  return status === 0 ? undefined : `no mount namespace can be made here: ${stderr}`;
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A machine named "robot" to `ssh -F machine.config`. */
class Machine {
  constructor(directory) {
    this.directory = directory;
    this.config = this.file("ssh_config");
  }

  file(...names) {
    return join(this.directory, ...names);
  }

  /** What its server is asked: through `port`, its own unless a test stands in between. */
  async writeClient(port, known = `[127.0.0.1]:${port} ${this.key}`) {
    await writeFile(this.file("known_hosts"), known);
    await writeFile(this.config, `Host robot
  HostName 127.0.0.1
  Port ${port}
  IdentityFile ${this.file("user")}
  IdentitiesOnly yes
  UserKnownHostsFile ${this.file("known_hosts")}
  StrictHostKeyChecking yes
  BatchMode yes
`);
  }

  /** A command line there, as root and without ssh; returns what it printed. */
  async ask(line) {
    const { stdout } = await run("nsenter", ["--target", String(this.init), "--mount", "--pid", "sh", "-c", line],
      { env: { PATH: "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", TMPDIR: this.file("tmp") } });
    return stdout.trimEnd();
  }

  /** The units' processes, by unit. */
  async processes() {
    const said = await this.ask("cd /run/stand-in && grep -H . *.pid");
    return Object.fromEntries(said.split("\n").map((line) => line.split(".pid:")));
  }

  /** What systemctl was asked to change since the last time. */
  async requests() {
    const log = await this.ask("cat /run/stand-in/log; : >/run/stand-in/log");
    return log.split("\n").filter((line) => line && !line.startsWith("is-active"));
  }
}

/**
 * Starts one. `user`: beside root, there is this one; `sudo`: "none" is there, it wants a password, which nobody knows
 * ("asks"), or it is "free"; `tools`: more stand-ins, as { name: script }.
 * @param {import("node:test").TestContext} t
 */
export async function startMachine(t, place, { hasSystemd = true, size = "64m", user = "", sudo = "none", tools = {} } = {}) {
  const machine = new Machine(place.directory);
  await mkdir(machine.file("sbin"));
  await mkdir(machine.file("tmp"));
  await chmod(machine.directory, 0o755); // the units' users look for their libraries from there
  await chmod(machine.file("tmp"), 0o1777);
  for (const [name, script] of Object.entries({ systemctl: SYSTEMCTL, journalctl: "#!/bin/sh\ncat /run/stand-in/$2.said\n", ...tools }))
    await writeFile(machine.file("sbin", name), script, { mode: 0o755 });
  if (hasSystemd) await writeFile(machine.file("has-systemd"), "");
  for (const name of ["host", "user"]) await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", machine.file(name)]);
  machine.key = (await readFile(machine.file("host.pub"), "utf8")).trim();
  machine.port = await freePort();
  await writeFile(machine.file("sshd_config"), `ListenAddress 127.0.0.1:${machine.port}
HostKey ${machine.file("host")}
AuthorizedKeysFile ${machine.file("user.pub")}
PermitRootLogin yes
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
SetEnv TMPDIR=${machine.file("tmp")}
`);
  const server = SERVER.find((file) => spawnSync("test", ["-x", file]).status === 0);
  const child = spawn("unshare",
    ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "boot", machine.directory, size, user, sudo, server],
    { stdio: ["ignore", "pipe", "pipe"] });
  const program = new Program(child, "sshd");
  t.after(() => program.stop("SIGKILL"));
  await program.says(/Server listening/, "stderr");
  machine.init = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"));
  await machine.writeClient(machine.port);
  return machine;
}

/**
 * A connection that breaks: stands between the client and the server, and lets `bytes` pass to the server.
 * @returns {Promise<number>} the port
 */
export async function breakAfter(t, port, bytes) {
  const sockets = new Set();
  const server = createServer((client) => {
    const machine = connect(port, "127.0.0.1");
    let passed = 0;
    for (const socket of [client, machine]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => [client, machine].forEach((each) => each.destroy()));
    }
    machine.pipe(client);
    client.on("data", (chunk) => {
      passed += chunk.length;
      if (passed > bytes) client.resetAndDestroy();
      else machine.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

