// A machine whose first process is systemd, this machine's own, with the project's units as they are: what they restrict
// must not hinder, and what they promise must happen. On other machines the programs are played to; here they are run.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { AVAHI, BUS } from "../integration/network.mjs";
import { addPrograms, pack } from "./archive.mjs";
import { ARCH as PINS, BOARD, chipFiles, LACKING, MOTORS, startChip, SWITCH } from "./gpio.mjs";
import { librariesOf, machineTest, OWN, startMachine, systemOf } from "./machine.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SYSTEM = "/lib/systemd";
const TOOLS = ["systemctl", "journalctl", "systemd-run"];
const TARGETS = ["sysinit", "basic", "shutdown", "multi-user", "sockets", "network"].map((name) => `system/${name}.target`);
const JOURNAL = ["system/systemd-journald.service", "system/systemd-journald.socket", "system/systemd-journald-dev-log.socket"];
const LIFETIME_S = 240;
const DAEMONS = ["/usr/bin/dbus-daemon", "/usr/sbin/avahi-daemon"];
const POLICY = "/usr/share/dbus-1/system.d/avahi-dbus.conf";
const ANNOUNCES = [...DAEMONS, POLICY].every((file) => existsSync(file));

/* The first file system cannot be pivoted away from, as units with a file system of their own need: so it is left. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir /new
/bin/busybox mount -t tmpfs -o mode=755 root /new
for folder in bin etc lib lib64 usr var; do [ ! -e /$folder ] || /bin/busybox cp -a /$folder /new/; done
/bin/busybox mkdir -p /new/dev /new/proc /new/sys /new/run /new/tmp /new/home /new/root /new/var/lib /new/sbin
/bin/busybox mount -t devtmpfs dev /new/dev
exec /bin/busybox switch_root -c /dev/console /new /lib/systemd/systemd --log-level=warning
`;

const CONSOLE = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/usr/local/bin HOME=/ SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
ip link set lo up
stty raw -echo
(sleep ${LIFETIME_S}; poweroff -f) </dev/null >/dev/null 2>&1 &
echo '<ready>'
while IFS= read -r line; do
  eval "$line"
  echo "<done $?>"
done
`;

const consoleUnit = (arch) => `[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/busybox sh /usr/console
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/${arch === "aarch64" ? "ttyAMA0" : "ttyS0"}
`;

const filesOf = (arch) => ({
  "etc/passwd": "root:x:0:0::/:/bin/sh\nomni-robot:x:900:900::/nonexistent:/bin/false\nomni-observer:x:901:901::/nonexistent:/bin/false\navahi:x:902:902::/:/bin/false\nomni-relay:x:905:905::/nonexistent:/bin/false\n",
  "etc/group": "root:x:0:\naudio:x:29:\nomni-robot:x:900:\nomni-observer:x:901:\navahi:x:902:\nnetdev:x:903:\ngpio:x:904:omni-robot\nomni-relay:x:905:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
  "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
  "etc/os-release": "ID=test\n",
  "etc/systemd/system/console.service": consoleUnit(arch),
  "etc/systemd/system/default.target": "[Unit]\nDefaultDependencies=no\nWants=console.service basic.target systemd-journald.service\n",
  "etc/bus.conf": BUS,
  "etc/avahi.conf": AVAHI,
  "usr/console": CONSOLE,
  init: INIT,
});

function addFile(files, path, bytes) {
  const names = path.split("/").slice(0, -1);
  names.forEach((_, i) => files.set(names.slice(0, i + 1).join("/"), undefined));
  files.set(path, bytes);
}

const isThere = (file) => existsSync(file);
/** Where systemd is that runs on that CPU: this machine's own, or the one that was fetched with the kernel. */
const rootOf = (arch) => (arch === OWN ? "/" : systemOf(arch));

/** The first file system: systemd, its targets, and what `make deploy` would install; with `more` files by path. */
function image(arch, more = []) {
  const root = rootOf(arch);
  const files = new Map(["bin", "dev", "lib", "proc", "sys", "tmp"].map((name) => [name, undefined]));
  for (const [path, text] of Object.entries(filesOf(arch))) addFile(files, path, Buffer.from(text));
  addFile(files, "bin/busybox", readFileSync(join(systemOf(arch), "bin/busybox")));
  const folders = librariesOf(arch);
  const others = new Map();
  const services = ["systemd", "systemd-journald", "systemd-executor"].map((name) => join(root, SYSTEM, name)).filter(isThere);
  const tools = TOOLS.map((name) => ["usr/bin", "bin"].map((folder) => join(root, folder, name)).find(isThere));
  const built = ["omni-robot", "omni-observer", "omni-relay", "omni-driver-host"].map((name) => join(ROOT, "build", arch, name));
  const plugin = folders.map((folder) => join(folder, "libwebsockets-evlib_uv.so")).find(isThere);
  const client = folders.map((folder) => join(folder, "libavahi-client.so.3")).find(isThere);
  const announcing = arch === OWN && ANNOUNCES && client ? [...DAEMONS, client] : [];
  addPrograms(others, [...services, ...tools, ...built, plugin, ...announcing], [...folders, ...folders.map((folder) => join(folder, "systemd"))]);
  const places = [[SYSTEM, services], ["/usr/bin", tools], ["/usr/local/bin", built], [/(\/usr)?\/lib[^/]*(\/[^/]+)?(?=\/[^/]+$)/.exec(plugin)[0], [plugin]]];
  if (announcing.length > 0) {
    places.push(["/usr/bin", DAEMONS], ["/lib", [client]]);
    addFile(files, POLICY.slice(1), readFileSync(POLICY));
  }
  for (const [place, programs] of places)
    for (const program of programs) addFile(files, join(place, program.replace(/.*\//, "")).slice(1), readFileSync(program));
  for (const [path, bytes] of others) if (path.startsWith("lib")) bytes === undefined ? files.set(path, bytes) : addFile(files, path, bytes);
  addFile(files, "usr/local/lib/recorder.so", readFileSync(join(ROOT, "build", arch, "tests/drivers/recorder.so")));
  for (const unit of [...TARGETS, ...JOURNAL]) addFile(files, join(SYSTEM, unit).slice(1), readFileSync(join(root, SYSTEM, unit)));
  const units = join(ROOT, "packaging/systemd");
  for (const name of readdirSync(units).filter((one) => /\.(service|socket)$/.test(one))) addFile(files, `etc/systemd/system/${name}`, readFileSync(join(units, name)));
  for (const [path, bytes] of more) addFile(files, path, Buffer.from(bytes));
  return pack(files);
}

const PROCESS = "Name|Cap|NoNewPrivs|Seccomp:";

machineTest("systemd as the first process runs the units as they are", [OWN], async (t) => {
  if (!existsSync(join(SYSTEM, "systemd"))) return t.skip("there is no systemd to start (scripts/deps test)");
  const machine = await startMachine(t, { image: image(OWN) });
  const show = async (unit, property) => (await machine.must(`systemctl show -P ${property} ${unit}`)).trim();
  const idOf = (unit) => show(unit, "MainPID");
  const source = "wget -q -O - http://127.0.0.1:8080/api/sources";
  const isLive = () => machine.until(`${source} | grep -q '"name":"robot".*"state":"live"'`);
  const statusOf = async (pid) => Object.fromEntries((await machine.must(`grep -E '^(${PROCESS})' /proc/${pid}/status`)).trim().split("\n").map((line) => line.split(/:\s+/)));
  const journal = (unit, grade) => machine.must(`journalctl -q -o cat -p ${grade} _SYSTEMD_UNIT=${unit}.service; true`);
  const start = async (unit, verb = "start") => {
    const { code, text } = await machine.run(`systemctl ${verb} ${unit} || { journalctl -u ${unit} -n 20; false; }`);
    assert.equal(code, 0, text);
  };

  await t.test("both start, are ready, and the dashboard shows the robot", async () => {
    await start("omni-robot");
    assert.match(await machine.must("ls /dev/shm"), /omni\.robot/, "ready: it has published");
    await start("omni-observer");
    assert.equal(await show("omni-robot", "StatusText"), "robot: 100 ticks a second, board sim");
    assert.equal(await show("omni-observer", "StatusText"), "answers at 127.0.0.1:8080");
    await isLive();
  });

  await t.test("they have no privilege and no more than their share of the system", async () => {
    for (const unit of ["omni-robot", "omni-observer"]) {
      const pid = await idOf(unit);
      const { CapEff, CapBnd, NoNewPrivs, Seccomp } = await statusOf(pid);
      assert.deepEqual([CapEff, CapBnd, NoNewPrivs, Seccomp], ["0".repeat(16), "0".repeat(16), "1", "2"], unit);
      assert.match(await machine.must(`grep ' / / ' /proc/${pid}/mountinfo`), / ro,/, `${unit} cannot write to the system`);
    }
    const network = async (pid) => (await machine.must(`readlink /proc/${pid}/ns/net`)).trim();
    assert.notEqual(await network(await idOf("omni-robot")), await network(1), "the robot has no network");
  });

  await t.test("the relay runs with what its unit gives, and the dashboard shows it", async () => {
    const config = { directory: "/run/omni-relay", routes: [{ when: { frame: "go" }, then: { file: "state", text: "1" } }] };
    await machine.must(`mkdir -p /etc/omniscient && echo '${JSON.stringify(config)}' >/etc/omniscient/relay.json`);
    await machine.must("echo 'OPTIONS=--interface rpmsg4000 --config /etc/omniscient/relay.json' >/etc/omniscient/relay.conf");
    await start("omni-relay");
    await start("omni-observer", "restart");
    const pid = await idOf("omni-relay");
    const { CapEff, CapPrm, CapBnd, NoNewPrivs, Seccomp } = await statusOf(pid);
    assert.deepEqual([CapEff, CapPrm, NoNewPrivs, Seccomp], ["0".repeat(16), "0".repeat(16), "1", "2"]);
    assert.equal(parseInt(CapBnd, 16), 1 << 13, "CAP_NET_RAW, and no other");
    assert.match(await machine.must(`grep ' / / ' /proc/${pid}/mountinfo`), / ro,/, "it cannot write to the system");
    assert.equal(await show("omni-relay", "StatusText"), "1 routes between rpmsg4000 and /run/omni-relay");
    assert.match(await journal("omni-relay", "warning"), /^Interface rpmsg4000 is not there: events are lost until it is up/);
    await machine.until(`${source} | grep -q '"name":"relay".*"state":"live"'`);
  });

  await t.test("restarting or killing one never touches the other", async () => {
    const [robot, observer] = [await idOf("omni-robot"), await idOf("omni-observer")];
    await start("omni-observer", "restart");
    assert.equal(await idOf("omni-robot"), robot);
    const second = await idOf("omni-observer");
    assert.notEqual(second, observer);
    await machine.must(`kill -9 ${robot}`);
    await machine.until(`[ "$(systemctl show -P NRestarts omni-robot)" = 1 ] && systemctl is-active omni-robot`);
    await isLive();
    assert.equal(await idOf("omni-observer"), second);
  });

  await t.test("a robot whose loop hangs is ended by the watchdog, and restarted", async () => {
    const robot = await idOf("omni-robot");
    await machine.must(`kill -STOP ${robot}`);
    await machine.until(`[ "$(systemctl show -P NRestarts omni-robot)" = 2 ] && systemctl is-active omni-robot`);
    assert.notEqual(await idOf("omni-robot"), robot);
    assert.match(await machine.must("journalctl -q -o cat -u omni-robot"), /Watchdog timeout/);
    await isLive();
  });

  await t.test("the unit's limits are enough for --realtime, and for a driver's host", async () => {
    const settings = "--realtime --board driver:/usr/local/lib/recorder.so --isolate-driver --driver-config /tmp";
    await machine.must(`mkdir -p /etc/omniscient; echo 'OPTIONS=${settings}' >/etc/omniscient/robot.conf`);
    await start("omni-robot", "restart");
    const pid = await idOf("omni-robot");
    const stat = (await machine.must(`cat /proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
    assert.deepEqual([stat[40 - 3], stat[41 - 3]], ["48", "1"], "priority 48, SCHED_FIFO");
    assert.match(await journal("omni-robot", "info"), /Driver \S*recorder.so: open in process \d+/);
    await isLive();
  });

  await t.test("the self-test finds what the unit permits", async () => {
    // Without a message bus, systemd-run can neither wait nor show: so it writes into a file.
    const report = async (name, limits) => {
      await machine.run(`systemd-run -q -p Type=oneshot -p User=omni-robot ${limits} -p StandardOutput=file:/run/${name} omni-robot --self-test --self-test-seconds 1 --tick-hz 1`);
      return machine.must(`cat /run/${name}`);
    };
    const permitted = await report("permitted", "-p LimitRTPRIO=50 -p LimitMEMLOCK=infinity");
    assert.match(permitted, /^well +scheduling .*SCHED_FIFO, priorities up to 50, is permitted/m);
    assert.match(permitted, /^well +memory /m);
    assert.match(await report("less", "-p LimitRTPRIO=49"), /^missing +scheduling .*priorities only up to 49/m, "enough for the loop, not for the guard");
    assert.match(await report("without", ""), /^missing +scheduling .*priorities only up to 0/m);
  });

  await t.test("the journal knows how grave a line is", async () => {
    assert.doesNotMatch(await journal("omni-robot", "warning"), /runs|stopped:/);
    await machine.must("echo OPTIONS=--no-such-option >/etc/omniscient/robot.conf");
    await machine.run("systemctl restart omni-robot");
    await machine.until("journalctl -q -o cat -p err _SYSTEMD_UNIT=omni-robot.service | grep -q no-such-option");
    await machine.must("rm /etc/omniscient/robot.conf; systemctl stop omni-robot; systemctl reset-failed omni-robot; true");
    await start("omni-robot");
  });

  await t.test("a socket unit holds the port, the first visitor starts the observer; wider, it asks for the token that it keeps", async () => {
    await machine.must("systemctl stop omni-observer");
    const port = "[Socket]\\nListenStream=\\nListenStream=0.0.0.0:8080\\n";
    await machine.must(`mkdir -p /etc/systemd/system/omni-observer.socket.d; printf '${port}' >/etc/systemd/system/omni-observer.socket.d/port.conf; systemctl daemon-reload`);
    await start("omni-observer.socket");
    assert.equal(await show("omni-observer", "ActiveState"), "inactive");
    const { text } = await machine.run(`${source} 2>&1`);
    assert.match(text, /401/);
    assert.equal(await show("omni-observer", "ActiveState"), "active");
    assert.equal((await machine.must("stat -c '%a %U' /var/lib/omniscient/token")).trim(), "600 omni-observer");
    const token = (await machine.must("cat /var/lib/omniscient/token")).trim();
    await machine.until(`wget -q -O - --header 'Authorization: Bearer ${token}' http://127.0.0.1:8080/api/sources | grep -q live`);
  });

  await t.test("the sandbox lets it announce its page", async (t) => {
    if (!ANNOUNCES) return t.skip("there is no avahi-daemon (scripts/deps test)");
    await machine.must("hostname rover; mkdir -p /run/dbus /run/avahi-daemon; dbus-daemon --nofork --nopidfile --nosyslog --config-file=/etc/bus.conf >/dev/null 2>&1 &");
    await machine.until("[ -S /run/dbus/system_bus_socket ]");
    await machine.must("avahi-daemon --no-drop-root --no-chroot --no-rlimits --file=/etc/avahi.conf >/dev/null 2>&1 &");
    await machine.until(`wget -q -O - http://127.0.0.1:8080/healthz | grep -q '"name":"rover","host":"rover.local"'`);
    assert.match(await journal("omni-observer", "info"), /announced on the network as "rover": http:\/\/rover\.local:8080\//);
  });
  return undefined;
});

/* What udev does on a Raspberry Pi: there is no udev here. */
const GRANT = "chgrp gpio /dev/gpiochip* && chmod 660 /dev/gpiochip*";
const DROP_IN = "/run/systemd/system/omni-robot.service.d";
const CONFIG = "OPTIONS='--realtime --board gpio --board-config /etc/omniscient/robot.ini'\n";

machineTest("systemd runs the unit with real pins: what it may is enough, and no more", [PINS], async (t) => {
  if (!isThere(join(rootOf(PINS), SYSTEM, "systemd"))) return t.skip(`there is no systemd for ${PINS} (scripts/guest ${PINS})`);
  const files = [...chipFiles(), ["etc/omniscient/robot.ini", BOARD + MOTORS + SWITCH], ["etc/omniscient/robot.conf", CONFIG]];
  const machine = await startMachine(t, { arch: PINS, image: image(PINS, files) });
  await startChip(machine);
  const idOf = async () => (await machine.must("systemctl show -P MainPID omni-robot")).trim();
  const start = async (verb = "start") => {
    const { code, text } = await machine.run(`systemctl ${verb} omni-robot || { journalctl -u omni-robot -n 20; false; }`);
    assert.equal(code, 0, text);
  };
  /** With a setting of its own: it is refused once, for that reason. */
  const fails = async (setting, reason) => {
    await machine.must(`mkdir -p ${DROP_IN}; printf '[Service]\\nRestart=no\\n${setting}\\n' >${DROP_IN}/test.conf; systemctl daemon-reload`);
    assert.notEqual((await machine.run("systemctl start omni-robot")).code, 0);
    await machine.until(`journalctl -q -o cat -u omni-robot | grep -q 'GPIO chip gpio-sim: ${reason}'`);
    await machine.must(`rm ${DROP_IN}/test.conf; systemctl daemon-reload; systemctl reset-failed omni-robot`);
  };

  await t.test("without the group of the pins it is told what is lacking", async () => {
    await fails("", "Permission denied");
    await machine.must(GRANT);
  });

  await t.test("it drives, as its own user without a capability, in real time, the guard above the loop", async () => {
    await start();
    await machine.until("ahead");
    const [robot, guard] = [await idOf(), "$(guards)"];
    for (const pid of [robot, guard]) {
      const status = await machine.must(`cat /proc/${pid}/status`);
      for (const words of [/^Uid:\s900\s900\s/m, /^Groups:\s.*\b904\b/m, /^CapEff:\s0+$/m]) assert.match(status, words);
    }
    const scheduling = (await machine.must(`scheduling ${robot}; scheduling ${guard}`)).trim().split("\n");
    assert.deepEqual(scheduling.map((line) => line.slice(0, 4)).sort(), ["40 1", "48 1", "49 1", "50 1"], "SCHED_FIFO is 1");
    assert.match(await machine.must(`cat /proc/${guard}/cgroup`), /omni-robot\.service/);
  });

  await t.test("killed at full speed its motors are off, then it is started again; stopped they are off", async () => {
    await machine.must(`kill -KILL ${await idOf()}; until off; do :; done`);
    await machine.until("ahead");
    assert.equal((await machine.must("systemctl show -P NRestarts omni-robot")).trim(), "1");
    await start("stop");
    await machine.must('off && [ -z "$(guards)" ]');
  });

  await t.test("a loop that hangs is switched off, ended by the watchdog and started again", async () => {
    await start();
    await machine.until("ahead");
    const robot = await idOf();
    await machine.must(`kill -STOP ${robot}; until off; do :; done`);
    await machine.until(`[ "$(systemctl show -P MainPID omni-robot)" != ${robot} ] && ahead`);
    await start("stop");
  });

  await t.test("without the unit's device rule there are no pins: so the rule is what grants them", async () => {
    await fails("DeviceAllow=", "Operation not permitted");
    await machine.must("off");
  });
  return undefined;
}, LACKING);
