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

const core = new Core({ report: push, event: (id, _name, text) => push(id, text) });

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
