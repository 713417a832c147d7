// What a Node program would do: the `ws` package, one prepared message to every client at a fixed rate.
//
//     node bench/ws_server.mjs BYTES HZ      prints the port on 127.0.0.1 that it listens on

import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(new URL("../tests/package.json", import.meta.url))("ws");

const [bytes, hz] = process.argv.slice(2).map(Number);
const start = '{"op":"status","filler":"';
const message = Buffer.from(`${start.padEnd(bytes - 2, "x")}"}`);
const period = 1000 / hz;

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 1024 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (client) => client.on("error", () => client.terminate()));

// Node's timers count whole milliseconds: aim at the next point of the grid each time.
let next = performance.now();
function tick() {
  for (const client of server.clients) client.send(message, { binary: false });
  next = Math.max(next + period, performance.now());
  setTimeout(tick, next - performance.now());
}
tick();
