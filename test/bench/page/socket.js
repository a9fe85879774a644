// Over a real socket: the page's part of it.

import { client, decoders } from "./clients.js";
import { load, transport } from "./ours.js";

// The event that stands before and behind what is measured (see ../corpus).
const MARKER = "GUILD_INTEGRATIONS_UPDATE";
const LAST = "2";

/** Observers that count, and know when the last event has come. */
function observers(names) {
  const seen = { count: 0, length: 0 };
  let finish;
  const done = new Promise((resolve) => (finish = resolve));
  const see = (d) => {
    seen.count++;
    seen.length += (d.content ?? "").length;
  };
  const map = Object.fromEntries(names.map((name) => [name, see]));
  map[MARKER] = (d) => d.guild_id === LAST && finish(seen);
  return { map, done };
}

let open;

/** Connects the package, with the core in a Worker or here. */
async function ours({ url, to, names, host }) {
  const g = await load();
  await g.init({ host });
  const { map, done } = observers(names);
  const handle = await g.connect(url, { token: "t", ...transport(to), observe: map });
  return { done, close: () => handle.close(), stats: () => handle.stats() };
}

/** Connects a client written by hand. */
async function hand({ url, decoder, names }) {
  const { map, done } = observers(names);
  const c = client(decoders[decoder]());
  for (const [name, see] of Object.entries(map)) c.handlers.set(name, [see]);
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("no connection"));
    c.handlers.set("READY", [resolve]);
    socket.onopen = () => socket.send('{"op":2,"d":{}}');
    socket.onmessage = (event) => c.onmessage(event);
  });
  return { done, close: () => socket.close() };
}

/** Opens a connection and returns once it is ready; the rest is to be waited for. */
export async function connectSocket(options) {
  open = await (options.who === "ours" ? ours(options) : hand(options));
}

/** Waits for the last event: what was seen. A million of them take a minute or two. */
export async function finishSocket() {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("the last event did not come")), 300_000));
  return Promise.race([open.done, late]);
}

export async function closeSocket() {
  await open.close();
  open = undefined;
  gc();
}

/** Bytes of JavaScript objects, after a collection. */
export function heap() {
  gc();
  return performance.memory.usedJSHeapSize;
}
