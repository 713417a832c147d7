// The packages' scripts where the machine is not as they expect it: nothing of that may keep a package from being removed,
// or installed. In a mount namespace with a /run and a /var/lib of their own; what they call is replaced by what fails.
// Their ordinary life: tests/packages/deb.test.mjs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { openPlace, ROOT } from "./support.mjs";

const isRoot = process.getuid() === 0;
const mounts = isRoot && spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "none", "/run"]).status === 0;
const options = { skip: !mounts && "only root can mount a /run of its own" };

/** Runs a script of packaging/debian after `first` has changed the machine. Returns { status, stdout, stderr, left }. */
async function runScript(place, name, args, { first = "true", failing = [], environment = "" } = {}) {
  const tools = join(place.directory, "tools");
  await mkdir(tools, { recursive: true });
  for (const tool of failing) {
    await writeFile(join(tools, tool), `#!/bin/sh\necho ${tool} was called >&2\nexit 5\n`);
    await chmod(join(tools, tool), 0o755);
  }
  const script = `set -e
    mount -t tmpfs none /run; mount -t tmpfs none /var/lib; mkdir -p /run/systemd/system; ${first}
    ${environment} PATH=${tools}:$PATH sh ${join(ROOT, "packaging/debian", name)} ${args}`;
  return spawnSync("unshare", ["--mount", "sh", "-c", script], { encoding: "utf8" });
}

for (const name of ["robot", "relay", "observer"])
  test(`omniscient-${name} can be removed where its unit cannot be stopped`, options, async (t) => {
    const failing = ["deb-systemd-invoke"];
    const place = await openPlace(t);
    const { status, stderr } = await runScript(place, `omniscient-${name}.prerm`, "remove", { failing });
    assert.match(stderr, /deb-systemd-invoke was called/);
    assert.equal(status, 0, stderr);
    const other = await runScript(place, `omniscient-${name}.prerm`, "remove", { failing, environment: "DPKG_ROOT=/mnt" });
    assert.doesNotMatch(other.stderr, /was called/, "this machine's service is none of another root's");
  });

test("omniscient-observer can be purged where its folders are something else, and touches nothing behind them", options, async (t) => {
  const place = await openPlace(t);
  const kept = join(place.directory, "kept");
  await mkdir(kept);
  await writeFile(join(kept, "precious"), "");
  for (const first of [`ln -s ${kept} /run/omniscient; ln -s ${kept} /var/lib/omniscient`,
    "mkdir /run/omniscient /var/lib/omniscient; mount -t tmpfs none /run/omniscient; mount -t tmpfs none /var/lib/omniscient",
    "touch /run/omniscient /var/lib/omniscient"]) {
    const { status, stderr } = await runScript(place, "omniscient-observer.postrm", "purge", { first });
    assert.equal(status, 0, `${first}: ${stderr}`);
    const look = spawnSync("ls", [kept], { encoding: "utf8" });
    assert.equal(look.stdout, "precious\n");
  }
});

test("omniscient-robot can be installed where its user cannot join the group of pins", options, async (t) => {
  const place = await openPlace(t);
  await mkdir(join(place.directory, "tools"));
  await writeFile(join(place.directory, "tools", "getent"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  const { status, stdout, stderr } = await runScript(place, "omniscient-robot.postinst", "configure ''", { failing: ["usermod"] });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /usermod was called\n.*could not join the group gpio/);
  assert.match(stdout, /is installed and does not run/);
});
