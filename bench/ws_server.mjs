// What a Node program would do: the `ws` package, one prepared message to every client at a fixed rate.
//
//     node bench/ws_server.mjs BYTES HZ      prints the port on 127.0.0.1 that it listens on

import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(new URL("../tests/package.json", import.meta.url))("ws");

const [bytes, hz] = process.argv.slice(2).map(Number);
const make = (op, length) => Buffer.from(`${`{"op":"${op}","filler":"`.padEnd(length - 2, "x")}"}`);
const hello = make("hello", 4096); // as bare_server's
const message = make("status", bytes);
const period = 1000 / hz;

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 1024 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (client) => {
  client.on("error", () => client.terminate());
  client.send(hello, { binary: false });
});

// Node's timers count whole milliseconds: aim at the next point of the grid each time.
let next = performance.now();
function tick() {
  for (const client of server.clients) client.send(message, { binary: false });
  next = Math.max(next + period, performance.now());
  setTimeout(tick, next - performance.now());
}
tick();
