// Who may look (docs/http.md, README): Host, Origin, the token and its file, addresses to listen on,
// and the one line that a start which cannot succeed ends with.

import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { ask, askJson, converse, run } from "./raw.mjs";
import { connect, openPlace, refusal } from "./support.mjs";

const options = { timeout: 120_000 };
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const ADDRESSES = Object.values(networkInterfaces()).flat();
const hasIPv6 = ADDRESSES.some(({ address }) => address === "::1");

/** An observer that wants its token, reached over loopback. */
async function startGuarded(place, more = {}) {
  const observer = await place.startObserver({ listen: "0.0.0.0:0", ...more });
  observer.url = `http://127.0.0.1:${new URL(observer.url).port}`;
  observer.address = new URL(observer.url).host;
  return observer;
}

/** Runs an observer that must refuse to start; returns its only line. */
async function startInVain(place, args, env) {
  const observer = place.start("omni-observer", ["--directory", place.directory, ...args], { env });
  const { code, signal } = await observer.ended;
  assert.deepEqual([code, signal], [2, null], `${args}: ${observer.stderr}`);
  assert.equal(observer.stdout, "");
  assert.match(observer.stderr, /^[^\n]+\n$/, "one line");
  return observer.stderr;
}

test("only names of this machine are answered to", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const { port } = new URL(observer.url);
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "LOCALHOST", "robot.localhost", `[::1]:${port}`, "192.168.1.7"])
    assert.equal((await ask(observer, "/", { headers: { host } })).status, 200, host);
  for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example"])
    for (const path of ["/", "/api/sources", "/healthz", "/nothing"]) {
      const answer = await ask(observer, path, { headers: { host } });
      assert.equal(answer.status, 421, `${host} ${path}`);
      assert.match(answer.text, /--allow-host/);
    }
  assert.equal((await refusal(t, observer, { headers: { host: "evil.example" } })).status, 421);
  for (const header of ["", "Host:\r\n", "Host: [::1\r\n"]) {
    const answer = await converse(t, observer, `GET / HTTP/1.1\r\n${header}Connection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 4(00|21) /, header);
  }
});

test("a name that was allowed is answered to, for the token", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--allow-host", "robots.example"] });
  assert.match(observer.token, TOKEN, "whoever is named by others wants the token");
  const headers = { host: "robots.example", authorization: `Bearer ${observer.token}` };
  assert.equal((await ask(observer, "/", { headers })).status, 200);
  assert.equal((await ask(observer, "/", { headers: { host: "robots.example" } })).status, 401);
  assert.equal((await ask(observer, "/", { headers: { ...headers, host: "other.example" } })).status, 421);
});

test("a page of another site gets nothing", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const { port } = new URL(observer.url);
  for (const origin of ["http://evil.example", `https://${observer.address}.evil.example`, `http://127.0.0.1:${Number(port) ^ 1}`, "null", "file://"]) {
    const { status, text } = await refusal(t, observer, { origin });
    assert.equal(status, 403, origin);
    assert.match(text, /another site/);
    assert.equal((await ask(observer, "/api/status", { headers: { origin } })).status, 403, origin);
  }
  const own = await connect(t, observer, { origin: observer.url });
  await own.settle();
  const plain = await ask(observer, "/api/sources", { headers: { origin: "http://evil.example" } });
  assert.equal(plain.headers["access-control-allow-origin"], undefined);
});

test("what clients never send is refused alike on both ways in", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const host = `Host: ${observer.address}\r\n`;
  const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const wrong = [
    [`${host}Origin:\r\n`, 403],
    [`Origin: \r\n${host}`, 403],
    [`${host}Origin: null\r\n`, 403],
    [`${host}${host}`, 400],
    [`${host}host: evil.example\r\n`, 400],
    [`Host: evil.example\r\n${host}`, 400],
    [`Host:\r\n${host}`, 400],
    [`Host: ${observer.address},${observer.address}\r\n`, 421],
  ];
  for (const [headers, status] of wrong)
    for (const [way, rest] of [["/", "Connection: close\r\n"], ["/ws", upgrade]]) {
      const answer = await converse(t, observer, `GET ${way} HTTP/1.1\r\n${headers}${rest}\r\n`);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), `${way} ${JSON.stringify(headers)}`);
    }
});

test("listening wider wants the token: link, cookie, bearer", options, async (t) => {
  const place = await openPlace(t);
  const observer = await startGuarded(place);
  await place.startRobot();
  assert.match(observer.token, TOKEN);
  const links = observer.stdout.trim().split("\n");
  for (const { address } of ADDRESSES.filter(({ family }) => family === "IPv4" || family === 4))
    assert.ok(links.includes(`http://${address}:${new URL(observer.url).port}/?token=${observer.token}`), address);

  for (const path of ["/", "/main.js", "/api/sources", "/api/status", "/api/history", "/api/observer", "/nothing"]) {
    const answer = await ask(observer, path);
    assert.equal(answer.status, 401, path);
    assert.match(answer.headers["www-authenticate"], /^Bearer/);
    assert.match(answer.text, /token/);
    assert.ok(!answer.text.includes(observer.token));
  }
  assert.equal((await ask(observer, "/healthz")).status, 200, "health is for everyone");
  const wrong = `${observer.token.slice(0, -1)}${observer.token.endsWith("A") ? "E" : "A"}`;
  for (const token of ["", "x", wrong, `${observer.token}x`, observer.token.toLowerCase()]) {
    assert.equal((await ask(observer, `/?token=${token}`)).status, 401);
    assert.equal((await ask(observer, "/", { headers: { authorization: `Bearer ${token}` } })).status, 401);
  }
  assert.equal((await refusal(t, observer)).status, 401);
  assert.equal((await refusal(t, observer, { headers: { authorization: `Bearer ${wrong}` } })).status, 401);

  const welcome = await ask(observer, `/?token=${observer.token}`);
  assert.equal(welcome.status, 303);
  assert.equal(welcome.headers.location, "/", "the token leaves the address");
  assert.equal(welcome.headers["cache-control"], "no-store");
  const [sent] = welcome.headers["set-cookie"];
  const [cookie, ...attributes] = sent.split("; ");
  assert.ok(attributes.includes("HttpOnly") && attributes.includes("SameSite=Strict") && attributes.includes("Path=/"), sent);
  assert.equal(cookie.split("=")[1], observer.token);

  const ways = [{ cookie }, { cookie: `a=b; ${cookie}; c=d` }, { authorization: `Bearer ${observer.token}` }];
  for (const headers of ways) {
    assert.equal((await ask(observer, "/", { headers })).status, 200);
    assert.ok((await askJson(observer, "/api/sources", { headers })).sources);
    const client = await connect(t, observer, { headers });
    await client.wait(({ op }) => op === "status");
    assert.equal((await refusal(t, observer, { headers, origin: "http://evil.example" })).status, 403);
  }
  assert.equal((await ask(observer, "/", { headers: { cookie: cookie.replace(observer.token, wrong) } })).status, 401);
});

test("the token stays the same, in a file that only its owner can read", options, async (t) => {
  const place = await openPlace(t);
  const file = join(place.directory, "token");
  const first = await startGuarded(place);
  const { mode } = await stat(file);
  assert.equal((mode & 0o777).toString(8), "600");
  assert.equal((await readFile(file, "utf8")).trim(), first.token);
  await first.stop();
  const second = await startGuarded(place);
  assert.equal(second.token, first.token);
  await second.stop();

  for (const open of [0o640, 0o604, 0o622]) {
    await chmod(file, open);
    const line = await startInVain(place, ["--listen", "0.0.0.0:0", "--token-file", file]);
    assert.match(line, /token file .*chmod 600/);
    assert.ok(!line.includes(first.token));
  }
  await chmod(file, 0o600);
  const link = join(place.directory, "link");
  await symlink(file, link);
  const inVain = (path) => startInVain(place, ["--listen", "0.0.0.0:0", "--token-file", path]);
  assert.match(await inVain(link), /token file .*\/link is a symbolic link; name the file itself/);
  await writeFile(file, "short\n");
  assert.match(await inVain(file), /token file .*\/token holds no token .*; remove it/);
  const pipe = join(place.directory, "pipe");
  await run("mkfifo", [pipe]);
  assert.match(await inVain(pipe), /token file .*\/pipe is no plain file; .*--token-file FILE/);
  const folder = join(place.directory, "folder");
  await mkdir(folder);
  assert.match(await inVain(folder), /token file .*\/folder is a directory; name a file in it/);
  assert.match(await inVain(join(file, "below")), /token file .*\/below: Not a directory; .*--token-file FILE/);

  const own = await place.startObserver({ listen: "127.0.0.1:0" });
  assert.equal(own.token, null, "loopback needs no token, so it does not matter that the file is bad");
});

test("without a word about its file the token goes where the user's state is kept", options, async (t) => {
  const place = await openPlace(t);
  const observer = place.start("omni-observer", ["--directory", place.directory, "--listen", "0.0.0.0:0"], {
    env: { XDG_STATE_HOME: "" },
  });
  const [, token] = await observer.says(/\?token=(\S+)\n/);
  const file = join(place.directory, ".local/state/omniscient/token");
  assert.equal((await readFile(file, "utf8")).trim(), token);
  assert.equal(((await stat(join(file, ".."))).mode & 0o077), 0);
});

test("nobody is shown to the network without a token", options, async (t) => {
  const place = await openPlace(t);
  const line = await startInVain(place, ["--listen", "0.0.0.0:0", "--require-token", "never"]);
  assert.match(line, /at 0\.0\.0\.0:\d+; leave it out/);
});

test("several addresses, one of them IPv6", { ...options, skip: !hasIPv6 && "this machine has no IPv6 loopback" }, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ listen: "[::1]:0", args: ["--listen", "127.0.0.1:0"] });
  await place.startRobot();
  const [, other] = await observer.says(/\n(http:\/\/127\.0\.0\.1:\d+)\/\n/);
  assert.match(observer.url, /^http:\/\/\[::1\]:\d+$/);
  for (const url of [observer.url, other]) {
    const way = { url, address: new URL(url).host };
    assert.equal((await ask(way, "/")).status, 200, url);
    const client = await connect(t, way, { origin: url });
    await client.wait(({ op }) => op === "status");
  }
});

test("a port in use is one line and exit 2", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const line = await startInVain(place, ["--listen", observer.address]);
  assert.ok(line.includes(observer.address), line);
  assert.match(line, /in use.*--listen/);
  await ask(observer, "/healthz");
});

test("what cannot be understood at the start is one line and exit 2", options, async (t) => {
  const place = await openPlace(t);
  const config = join(place.directory, "config.json");
  const cases = [
    [["--max-clinets", "5"], /--max-clinets.*--max-clients/],
    [["--bogus"], /--bogus.*--help/],
    [["fly"], /"fly".*--help/],
    [["serve", "extra"], /extra/],
    [["--max-clients"], /--max-clients/],
    [["--max-clients", "many"], /--max-clients.*many/],
    [["--max-clients", "0"], /--max-clients.*0/],
    [["--listen", "8080"], /8080.*127\.0\.0\.1:8080/],
    [["--listen", "127.0.0.1:99999"], /99999/],
    [["--listen", "example.com:80"], /example\.com/],
    [["--listen", "203.0.113.1:0"], /203\.0\.113\.1/],
    [["--history", "1"], /--history.*1/],
    [["--json"], /--json/],
    [["--config", join(place.directory, "absent")], /absent.*No such file/],
    [["--config", place.directory], /directory/i],
  ];
  for (const [args, pattern] of cases) assert.match(await startInVain(place, args), pattern, String(args));
  assert.match(await startInVain(place, [], { OMNI_MAX_CLIENTS: "many" }), /OMNI_MAX_CLIENTS.*many/);
  const files = [
    ["{", /config\.json.*JSON/],
    ['{"max-clinets": 5}', /config\.json.*max-clinets.*max-clients/],
    ['{"max-clients": "five"}', /config\.json.*max-clients/],
    ["[]", /config\.json/],
  ];
  for (const [text, pattern] of files) {
    await writeFile(config, text);
    assert.match(await startInVain(place, ["--config", config]), pattern, text);
  }
  const missing = join(place.directory, "nowhere");
  const lost = place.start("omni-observer", ["--directory", missing, "--listen", "127.0.0.1:0"]);
  assert.deepEqual(await lost.ended, { code: 2, signal: null });
  assert.match(lost.stderr, /nowhere.*--directory/);
});

test("the command line wins over the environment, the environment over the file", options, async (t) => {
  const place = await openPlace(t);
  const config = join(place.directory, "config.json");
  const withFile = async (settings, args, env) => {
    await writeFile(config, JSON.stringify(settings));
    return place.startObserver({ args: ["--config", config, ...args], env });
  };
  const refuses = async (observer, headers) => (await ask(observer, "/", { headers })).status === 401;
  const never = await withFile({ "require-token": "always" }, ["--require-token", "never"], { OMNI_REQUIRE_TOKEN: "always" });
  assert.equal(await refuses(never), false);
  const byEnvironment = await withFile({ "require-token": "never" }, [], { OMNI_REQUIRE_TOKEN: "always" });
  assert.equal(await refuses(byEnvironment), true);
  const byFile = await withFile({ "require-token": "always" }, []);
  assert.equal(await refuses(byFile), true);
});
