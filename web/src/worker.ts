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

// A batch is flushed in a task of its own, behind the messages that have
// arrived by then. While events pour in, it may fill for a while: what costs
// the page is the number of batches.
const FILL = 4; // ms

let batch: Batch = [];
let touched = new Set<number>();
let scheduled = false;
let flushed = -Infinity;
const soon = new MessageChannel();
soon.port1.onmessage = flush;

function push(id: number, report: Report): void {
  batch.push(id, report);
  touched.add(id);
  if (scheduled) return;
  scheduled = true;
  if (typeof report === "string" && performance.now() - flushed < FILL) setTimeout(flush, FILL);
  else soon.port2.postMessage(0);
}

const core = new Core({ report: push, event: (id, _name, text) => push(id, text) });

function flush(): void {
  scheduled = false;
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
