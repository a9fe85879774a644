// Where the core runs: here, or in a Worker.

import { Core } from "./core.js";
import { describe, GatewayError, type ErrorInfo } from "./errors.js";
import type { Batch, Command, Host, Report, Sink, WasmSource } from "./protocol.js";

/** Runs the core on this thread. */
export async function mainHost(wasm: WasmSource, sink: Sink): Promise<Host> {
  const core = new Core(sink);
  await core.load(wasm);
  return core;
}

/** The Web Locks, which only secure pages have. */
export function locks(): LockManager | undefined {
  return navigator.locks as LockManager | undefined;
}

/** The Worker could not be started, though the core might be here. */
export class NoWorker extends Error {}

/**
 * Runs the core in a dedicated Worker. `died` is called if the Worker comes to
 * an end that nobody asked for.
 */
export async function workerHost(url: string, wasm: WasmSource, sink: Sink, died: () => void): Promise<Host> {
  const lock = `spacebar-gateway ${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  let worker: Worker;
  try {
    worker = new Worker(url, { name: "spacebar-gateway" });
  } catch (thrown) {
    throw new NoWorker(`could not start the Worker from ${url}: ${describe(thrown)}`);
  }
  const over = new AbortController();
  const module = await new Promise<WebAssembly.Module>((resolve, reject) => {
    let loaded = false;
    worker.onerror = (event) => {
      over.abort();
      worker.terminate();
      reject(new NoWorker(`could not start the Worker from ${url}: ${event.message || "it could not be loaded, or the page's Content-Security-Policy forbids it"}`));
    };
    worker.onmessage = ({ data }: MessageEvent<Batch | { type: "locked" } | { type: "loaded"; module: WebAssembly.Module } | { type: "failed"; error: ErrorInfo }>) => {
      if (Array.isArray(data)) {
        for (let i = 0; i < data.length; i += 2) sink.report(data[i] as number, data[i + 1] as Report);
      } else if (data.type === "locked") {
        // Nothing tells a page that its Worker has been ended (for want of memory,
        // say), but a lock that the Worker held becomes free.
        locks()
          ?.request(lock, { signal: over.signal }, () => {
            worker.terminate();
            if (loaded) died();
            else reject(new NoWorker("the Worker was ended while it loaded"));
          })
          .catch(() => {});
      } else if (data.type === "loaded") {
        loaded = true;
        worker.onerror = null;
        resolve(data.module);
      } else {
        over.abort();
        worker.terminate();
        reject(new GatewayError(data.error));
      }
    };
    worker.postMessage({ type: "load", source: wasm, lock });
  });
  return {
    kind: "worker",
    module,
    post: (command: Command) => worker.postMessage(command),
    terminate() {
      over.abort();
      worker.onmessage = worker.onerror = null;
      worker.terminate();
    },
  };
}
