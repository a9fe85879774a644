// Loading and starting the WebAssembly binary.

import { makeGo } from "wasm_exec";
import { describe, fail } from "./errors.js";
import type { Loss, Session, SessionStats, WasmSource } from "./protocol.js";

/** The functions of jsbridge/hot.go. */
export interface Exports {
  mem: WebAssembly.Memory;
  recordAddress(): number;
  coreAddress(handle: number): number;
  countAddress(handle: number, kind: number): number;
  buffer(n: number): number;
  setClock(now: number): void;
  received(handle: number, conn: number, n: number, binary: number): number;
  glance(handle: number, conn: number, head: number, tail: number): number;
  again(handle: number, conn: number, kind: number, seq: number): number;
  next(handle: number): number;
  opened(handle: number, conn: number, now: number): void;
  closed(handle: number, conn: number, code: number, reason: number, cause: number, now: number): void;
  tick(handle: number, now: number): void;
  wake(handle: number, now: number): void;
  deadline(handle: number): number;
  crash(): void;
}

/** An error as jsbridge/control.go returns it. */
export interface Failure {
  code: import("./errors.js").ErrorCode;
  message: string;
  closeCode: number;
  fatal: boolean;
}

/** The functions of jsbridge/control.go. */
export interface Control {
  open(config: object): number | Failure;
  start(handle: number, now: number): void;
  observe(handle: number, name: string): void;
  kind(handle: number, id: number): string;
  unobserve(handle: number, name: string): void;
  send(handle: number, op: number, payload: string, now: number): number | Failure;
  cancel(handle: number, id: number): boolean;
  close(handle: number, now: number, keep: boolean): void;
  snapshot(handle: number): Session | null;
  lost(handle: number): (Failure & Omit<Loss, "reason">) | null;
  stats(handle: number): SessionStats;
  release(handle: number): void;
  inspect(): { heap: number; cores: number };
}

type Call = <N extends keyof Control>(name: N, ...args: Parameters<Control[N]>) => ReturnType<Control[N]>;

/** Go gives one function for all of them. */
function controls(call: Call): Control {
  const bound: Record<string, unknown> = {};
  for (const name of ["open", "start", "observe", "kind", "unobserve", "send", "cancel", "close", "snapshot", "lost", "stats", "release", "inspect"] as const satisfies (keyof Control)[]) {
    bound[name] = (...args: never[]) => call(name, ...(args as never));
  }
  return bound as unknown as Control;
}

/** A running instance of the core. */
export interface Instance {
  exports: Exports;
  control: Control;
  /** How many JavaScript values, functions among them, Go holds. */
  held: () => number;
}

/**
 * Compiles the binary. The source may be a URL, its bytes, or a compiled module
 * for hosts that cannot fetch.
 */
export async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  try {
    if (typeof source !== "string") return await WebAssembly.compile(source);
    const response = await fetch(source);
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
    // Streaming compiles while the bytes arrive, but only with the right type.
    return /^application\/wasm\b/i.test(response.headers.get("content-type") ?? "")
      ? await WebAssembly.compileStreaming(response)
      : await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    const where = typeof source === "string" ? ` from ${source}` : "";
    throw fail("load_failed", `could not load the WebAssembly core${where}: ${describe(cause)}`, cause);
  }
}

/**
 * Starts an instance. `exited` is called once if the Go program ends, which it
 * does only by a crash; `text` is what it printed about that.
 */
export async function start(module: WebAssembly.Module, exited: (text: string) => void): Promise<Instance> {
  let control: Control | undefined;
  let printed = "";
  const decoder = new TextDecoder();
  // What Go sees as the global object. The page's own stays as it is.
  const scope = {
    Object,
    Array,
    Uint8Array,
    Error,
    crypto,
    performance,
    TextEncoder,
    TextDecoder,
    handOver: (call: Call) => void (control = controls(call)),
    fs: {
      constants: { O_WRONLY: -1, O_RDWR: -1, O_CREAT: -1, O_TRUNC: -1, O_APPEND: -1, O_EXCL: -1, O_DIRECTORY: -1 },
      writeSync(_fd: number, bytes: Uint8Array) {
        if (printed.length < 10_000) printed += decoder.decode(bytes);
        return bytes.length;
      },
    },
  };
  const go = makeGo(scope);
  go.exit = () => exited(printed.split("\n").find((line) => line !== "") ?? "");
  const instance = await WebAssembly.instantiate(module, go.importObject);
  const running = go.run(instance);
  running.catch(() => {}); // a trap is met where the call was made
  if (!control) throw fail("load_failed", `the WebAssembly core did not start: ${printed || "it is not the one of this package"}`);
  return { exports: instance.exports as unknown as Exports, control, held: () => go._values.length - go._idPool.length };
}
