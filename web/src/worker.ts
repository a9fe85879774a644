// The Worker in which the core lives by default: its timers are not held back
// when the page is hidden, and the page's thread sees nothing of the traffic
// but the events somebody observes, in batches.

import { Core } from "./core.js";
import { describe, GatewayError, type ErrorInfo } from "./errors.js";
import { locks } from "./host.js";
import type { Batch, Command, Report, WasmSource } from "./protocol.js";

declare const self: {
  onmessage: ((event: MessageEvent<Command | { type: "load"; source: WasmSource; lock: string }>) => void) | null;
  postMessage(message: unknown): void;
};

// What costs the page is the number of batches. A batch is flushed in a task of its
// own, behind the messages that have arrived by then; while events pour in, at most
// once in about a frame of the screen. Whatever else there is to report does not wait.
const FRAME = 16; // ms

let batch: Batch = [];
let touched = new Set<number>();
let timer: ReturnType<typeof setTimeout> | undefined;
let soon = false;
let flushed = -Infinity;

function push(id: number, report: Report): void {
  batch.push(id, report);
  touched.add(id);
  const event = typeof report === "string";
  if (timer !== undefined && (event || soon)) return;
  clearTimeout(timer);
  const wait = event ? flushed + FRAME - performance.now() : 0;
  soon = wait <= 0;
  timer = setTimeout(flush, Math.max(wait, 0));
}

// To wake a thread takes longer than all else there is to do for a message. So while
// messages pour in, the Worker does not have itself woken for each: it sleeps for a
// moment, takes what has come meanwhile, and sleeps again. What the page says waits
// as long. The more comes, the shorter the moment, as the browser holds back what it
// has no room for (in Chromium 128 KiB for a connection).
const POURING = 64; // ms, at most, from one call of busy to the next
const LONGEST = 4; // ms
const SHORTEST = 1; // ms: when not even this leaves room, there is no use in sleeping
const ROOM = 96 << 10; // bytes

const behind = new MessageChannel(); // for a task behind the messages that wait
let bed: Int32Array | null | undefined;
let nap = 0; // ms; 0 while awake
let since = -Infinity;
let taken = 0; // bytes
let empty = false; // whether nothing came in the nap before

/** A place to sleep on, if the browser lets a Worker sleep. No page sees it. */
function makeBed(): Int32Array | null {
  try {
    const bed = new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
    Atomics.wait(bed, 0, 1); // returns at once, as there is no 1
    return bed;
  } catch {
    return null;
  }
}

function busy(): void {
  if (nap > 0) return;
  const now = performance.now();
  const pouring = now - since <= POURING;
  since = now;
  if (!pouring) return;
  if (bed === undefined) bed = makeBed();
  if (bed === null) return;
  nap = SHORTEST;
  taken = core.received();
  empty = false;
  behind.port2.postMessage(0);
}

behind.port1.onmessage = () => {
  const got = core.received() - taken;
  taken += got;
  nap = Math.min((nap * ROOM) / got, LONGEST);
  if (nap < SHORTEST || (got === 0 && empty)) {
    nap = 0;
    return;
  }
  empty = got === 0;
  Atomics.wait(bed!, 0, 0, nap);
  behind.port2.postMessage(0);
};

const core = new Core({ report: push, event: (id, _name, text) => push(id, text), busy });

function flush(): void {
  timer = undefined;
  flushed = performance.now();
  for (const id of touched) {
    const seq = core.seq(id);
    if (seq !== undefined) batch.push(id, seq);
  }
  const full = batch;
  batch = [];
  touched.clear();
  self.postMessage(full);
}

self.onmessage = ({ data }) => {
  if (data.type !== "load") {
    core.post(data);
    return;
  }
  // Held until the Worker ends.
  void locks()?.request(data.lock, () => {
    self.postMessage({ type: "locked" });
    return new Promise(() => {});
  });
  core.load(data.source).then(
    () => self.postMessage({ type: "loaded", module: core.module }),
    (thrown: unknown) => {
      const error: ErrorInfo = { code: thrown instanceof GatewayError ? thrown.code : "load_failed", message: describe(thrown) };
      self.postMessage({ type: "failed", error });
    },
  );
};
