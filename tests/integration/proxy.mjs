// A real nginx in front of an observer, configured as docs/http.md says: what stands there is what runs here.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";

import { ask, run } from "./raw.mjs";
import { Program, until } from "./support.mjs";

export const NAME = "robots.example"; // as in the documentation
const DOCUMENT = new URL("../../docs/http.md", import.meta.url);
const FOLDERS = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];

async function findNginx() {
  for (const folder of FOLDERS) {
    const path = join(folder, "nginx");
    if (await access(path).then(() => true, () => false)) return path;
  }
  return assert.fail("nginx is not installed: scripts/deps test installs it");
}

/** The documented configuration. */
async function documented() {
  const [block, ...others] = (await readFile(DOCUMENT, "utf8")).matchAll(/^```nginx\n(.*?)^```$/gms);
  assert.ok(block && !others.length, "docs/http.md has one configuration for nginx");
  return block[1];
}

/** Another word in the place of one that must be there, and once. */
export function put(text, from, to) {
  assert.equal(text.split(from).length, 2, `"${from}" stands once in ${text}`);
  return text.replace(from, () => to);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Its own, for a day; returns the certificate. */
async function makeCertificate(place) {
  const [key, certificate] = ["key", "crt"].map((end) => join(place.directory, `${NAME}.${end}`));
  await run("openssl", [
    ..."req -x509 -nodes -days 1 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split(" "),
    ..."-subj /CN=robots.example -addext subjectAltName=DNS:robots.example,IP:127.0.0.1".split(" "),
    ..."-keyout".split(" "), key, "-out", certificate,
  ]);
  return { key, certificate };
}

/** What a server needs that is not the machine's: no folder of the system's is touched, one process. */
function frame(place, server) {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off;
master_process off;
pid ${place.directory}/nginx.pid;
error_log stderr warn;
events {}
http {
${kinds.map((kind) => `${kind}_temp_path ${place.directory}/${kind};`).join("\n")}
${server}}
`;
}

/**
 * nginx before `upstream` (an address, "127.0.0.1:8080"). `change` may alter the configuration.
 * What it returns is asked like an observer: has `url`, `address` and `tls`.
 */
export async function startProxy(place, upstream, change = (text) => text) {
  const nginx = await findNginx();
  const { key, certificate } = await makeCertificate(place);
  const port = await freePort();
  let server = change(await documented());
  server = put(server, "listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`);
  server = put(server, "127.0.0.1:8080", upstream);
  server = put(server, `/etc/ssl/${NAME}.crt`, certificate);
  server = put(server, `/etc/ssl/${NAME}.key`, key);
  const file = join(place.directory, "nginx.conf");
  await writeFile(file, frame(place, server));
  const args = ["-p", place.directory, "-c", file, "-e", "stderr"];
  const proxy = new Program(spawn(nginx, args, { stdio: ["ignore", "pipe", "pipe"] }), "nginx");
  place.programs.push(proxy);
  proxy.port = port;
  proxy.address = `127.0.0.1:${port}`;
  proxy.url = `https://${proxy.address}`;
  proxy.tls = { ca: await readFile(certificate), servername: NAME };
  await until("nginx answers", async () => {
    assert.ok(proxy.isRunning, proxy.stderr);
    return ask(proxy, "/healthz").catch(() => undefined);
  });
  return proxy;
}
