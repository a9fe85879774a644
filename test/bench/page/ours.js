// The package in the page, fed by hand.

import { FakeSocket } from "./frames.js";

const library = "/dist/index.js";
export const load = () => import(library);

/** How the options are called for a transport of the corpora. */
export const transport = (name) => ({
  encoding: name === "etf" ? "etf" : "json",
  compress: { zlib: "zlib-stream", zstd: "zstd-stream", zstdframes: "zstd-stream" }[name] ?? "none",
});

/** Connects, with the core on the page, to a socket that is fed from events. */
export async function dial(to, options = {}) {
  const g = await load();
  globalThis.WebSocket = FakeSocket;
  await g.init({ host: "main" });
  FakeSocket.last = undefined;
  const ready = g.connect("ws://127.0.0.1:1/", { token: "t", ...transport(to), ...options });
  while (!FakeSocket.last) await Promise.resolve();
  const socket = FakeSocket.last;
  socket.open();
  return { socket, ready };
}

/** Connects and feeds Hello and READY. */
export async function connect(to, events, options) {
  const { socket, ready } = await dial(to, options);
  socket.onmessage(events[0]);
  socket.onmessage(events[1]);
  return { socket, handle: await ready };
}
