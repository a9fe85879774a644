// The entry points: init, connect, spawn.

import { base } from "base";
import { Connection, type Logger } from "./connection.js";
import { describe, fail, GatewayError } from "./errors.js";
import { check, GatewayHandle } from "./handle.js";
import { mainHost, NoWorker, workerHost } from "./host.js";
import type { Observer } from "./observers.js";
import { identifyCommon, type DispatchEvents, type EventName, type Identify } from "./protocol.gen.js";
import type { CoreConfig, Host, Inspection, Session, Sink, WasmSource } from "./protocol.js";

declare const VERSION: string;

/** The version of this package. */
export const version: string = VERSION;

/** How the core is loaded. */
export interface InitOptions {
  /**
   * Where the core runs: in a dedicated Worker (the default), where hidden pages
   * keep their heartbeats and the page's thread is spared the traffic, or on the
   * main thread, where the Worker cannot be had. While more than some 1,000 messages
   * a second come in, the Worker sleeps 4 ms at a time, at most, to save power; sends
   * and observers wait for it as long.
   */
  host?: "worker" | "main" | undefined;
  /** The WebAssembly binary: its URL (by default beside this script), its bytes, or a compiled module. */
  wasm?: string | URL | WebAssembly.Module | ArrayBuffer | undefined;
  /** The URL of worker.js; by default beside this script. It must be of the page's own origin. */
  worker?: string | URL | undefined;
}

/** Options of a connection. */
export interface SpawnOptions {
  /** How messages are written. "auto" is JSON. */
  encoding?: "auto" | "json" | "etf" | undefined;
  /** How the connection is compressed. "auto" is the best that the server does not refuse. */
  compress?: "auto" | "none" | "zlib-stream" | "zstd-stream" | undefined;
  /** The version of the protocol to ask for; 9 by default. */
  version?: number | undefined;
  /**
   * The largest message to send, in bytes, at least 512; 15360 by default. Use
   * 4096 for a Spacebar server, which closes the connection on more.
   */
  maxMessageSize?: number | undefined;
  /** The largest message to accept, in bytes after decompression, at least 4096; 64 MiB by default. */
  maxReceiveSize?: number | undefined;
  /** How many sends may wait for the rate limit (120 messages in 60 seconds); 256 by default. */
  queueSize?: number | undefined;
  /** Tries before the first READY after which connecting fails, at least 1; 3 by default, Infinity for ever. */
  attempts?: number | undefined;
  /** A session to resume instead of beginning a new one. */
  session?: (Pick<Session, "id" | "seq"> & Partial<Session>) | null | undefined;
  /** Observers that are there from the beginning and miss nothing, READY included, by the names of events; "*" is every event. */
  observe?: ObserversByName | undefined;
  /** Called with the handle before it connects; whatever it subscribes to misses nothing. */
  setup?: ((handle: GatewayHandle) => void) | undefined;
  /** Where to log changes of state, gaps and errors, such as `console`; nowhere by default. */
  log?: Logger | undefined;
  /** Gives up connecting when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** Observers by the names of the events they observe. Names that the protocol does not have are allowed. */
export type ObserversByName = { readonly [N in EventName]?: Observer<DispatchEvents[N]> | undefined } & {
  // What is not known of a payload is for its observer to say.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [name: string]: Observer<any> | undefined;
};

/** Options of connect. */
export interface ConnectOptions extends SpawnOptions {
  /** The token of the account. */
  token?: string | undefined;
  /** What to identify with, instead of identifyCommon(token). */
  identify?: Identify | undefined;
}

const INIT = ["host", "wasm", "worker"] as const;
const SPAWN = ["encoding", "compress", "version", "maxMessageSize", "maxReceiveSize", "queueSize", "attempts", "session", "observe", "setup", "log", "signal"] as const;
/** @internal The names of the options of connect. */
export const CONNECT = [...SPAWN, "token", "identify"] as const;

/** Where all is, as init was told or by default. */
interface Places {
  host: "worker" | "main";
  wasm: WasmSource;
  worker: string;
}

let loading: Promise<Host> | undefined;
let given: Places | undefined;
let compiled: WebAssembly.Module | undefined; // what was loaded from given.wasm: to start again takes no network
let host: Host | undefined;
let lastId = 0;
const connections = new Map<number, Connection>();

/**
 * Loads the core. connect and spawn do it by themselves; call it to choose how,
 * or to have it done early. A second call with other options fails; after a
 * failure it may be called again.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  check(options, INIT, "init");
  if (options.host !== undefined && options.host !== "worker" && options.host !== "main") {
    throw fail("invalid_option", `the host is "worker" or "main", not ${describe(options.host)}`);
  }
  const asked = places(options);
  if (loading && INIT.some((key) => options[key] !== undefined && asked[key] !== given?.[key])) {
    throw fail("invalid_option", "the core is loaded already, with other options; call init once, before connect and spawn");
  }
  if (!loading) {
    if (asked.wasm !== given?.wasm) compiled = undefined;
    given = asked;
  }
  await (loading ??= load(asked).catch((thrown: unknown) => {
    loading = undefined;
    throw thrown;
  }));
  listen();
}

function places({ host = "worker", wasm, worker }: InitOptions): Places {
  const beside = (name: string, at: string | URL | undefined) => new URL(at ?? name, at === undefined ? base : location.href).href;
  try {
    return { host, wasm: wasm === undefined || typeof wasm === "string" || wasm instanceof URL ? beside("./gateway.wasm", wasm) : wasm, worker: beside("./worker.js", worker) };
  } catch (thrown) {
    throw fail("invalid_option", `wasm and worker are where the files are, as URLs: ${describe(thrown)}`, thrown);
  }
}

/** Starts the core at the places given. Rejects with a GatewayError. */
async function load(at: Places, again = false): Promise<Host> {
  try {
    host = await start(at, compiled ?? at.wasm, again);
    compiled = host.module;
    return host;
  } catch (thrown) {
    throw thrown instanceof GatewayError ? thrown : fail("load_failed", describe(thrown), thrown);
  }
}

async function start(at: Places, source: WasmSource, again: boolean): Promise<Host> {
  if (at.host === "worker") {
    try {
      return await workerHost(at.worker, source, sink, lostHost);
    } catch (thrown) {
      // Without a network there is nothing to connect to either: the Worker can wait.
      if (!(thrown instanceof NoWorker) || (again && !navigator.onLine)) throw thrown;
      console.warn(`spacebar-gateway: ${thrown.message}. The core runs on the page's own thread instead; pass host: "main" to choose that.`);
    }
  }
  return mainHost(source, sink);
}

const RESTARTS = 5; // of the Worker, in a minute
const RESTART_WINDOW = 60_000;
const RESTART_DELAY = 100; // ms before the second restart in a minute; twice as long before each that follows
const RETRY_DELAY = 1000; // ms before another try if no Worker could be loaded; twice as long before each that follows
const RETRY_MOST = 30_000; // ms
let restarts: number[] = [];
let hurry: (() => void) | undefined; // ends the present delay

/**
 * The Worker has come to an end. A new one takes the sessions up where the page
 * has seen them last; but not for ever, if something keeps ending them. One that
 * cannot be loaded, for want of a network, is tried again: there is no hurry.
 */
function lostHost(): void {
  host = loading = undefined;
  if (connections.size === 0) return; // the next connect loads another
  const now = performance.now();
  restarts = restarts.filter((at) => at > now - RESTART_WINDOW);
  if (restarts.push(now) > RESTARTS) {
    end("the Worker that holds the connection was ended too often to go on");
    return;
  }
  const error = { code: "core_crashed", message: "the Worker that holds the connection was ended; a new one continues the session", fatal: false } as const;
  for (const connection of connections.values()) connection.interrupt(error);
  restart(restarts.length > 1 ? RESTART_DELAY * 2 ** (restarts.length - 2) : 0, RETRY_DELAY);
}

/** Starts the core again after a delay and, if that fails, after longer ones, both in ms. */
function restart(delay: number, next: number): void {
  loading = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, delay);
    hurry = () => (clearTimeout(timer), resolve());
  }).then(() => load(given!, true));
  loading.then(
    (host) => {
      for (const connection of connections.values()) connection.open(host);
    },
    ({ message }: GatewayError) => {
      loading = undefined;
      if (connections.size === 0) return; // the next connect tries again
      restart(next, Math.min(next * 2, RETRY_MOST));
      const error = { code: "load_failed", message: `the Worker was ended and no other could be started yet: ${message}`, fatal: false } as const;
      for (const connection of connections.values()) {
        connection.report({ type: "error", error });
        connection.report({ type: "state", state: "backoff", retryAt: Date.now() + next, error });
      }
    },
  );
}

/** Ends all connections. */
function end(message: string): void {
  const error = { code: "core_crashed", message, fatal: true } as const;
  for (const id of [...connections.keys()]) {
    sink.report(id, { type: "error", error });
    sink.report(id, { type: "state", state: "closed", error });
  }
}

/** Where the core runs; undefined until it is loaded. */
export function hostKind(): "worker" | "main" | undefined {
  return host?.kind;
}

const sink: Sink = {
  report(id, report) {
    if (typeof report === "object" && report.type === "inspection") inspected?.(report);
    const connection = connections.get(id);
    if (!connection) return;
    connection.report(report);
  },
  event(id, name, text, from, to) {
    connections.get(id)?.event(name, text, from, to);
  },
};

let inspected: ((inspection: Inspection) => void) | undefined;

/** @internal Tells what the core holds, for the tests that look for leaks. */
export function inspectForTest(): Promise<Inspection> {
  return new Promise((resolve) => {
    inspected = resolve;
    host!.post({ type: "inspect" });
  });
}

/** @internal Crashes the core, for the tests that see to it that the sessions go on. */
export function crashForTest(): void {
  host?.post({ type: "crash" });
}

/**
 * Connects to the gateway at url, identifies (or resumes) and resolves when the
 * session is ready. From then on the handle keeps itself connected until it is
 * closed. Rejects with a GatewayError, among others "invalid_url", "invalid_option",
 * "load_failed", "aborted", "dial_failed", "not_a_gateway",
 * "authentication_failed"; or with what the caller's setup throws.
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<GatewayHandle> {
  check(options, CONNECT, "connect");
  const { token, identify, ...rest } = options;
  const payload = identify ? { ...identify, token: token ?? identify.token } : identifyCommon(token ?? "");
  if (typeof payload.token !== "string" || payload.token === "") throw fail("invalid_option", "connect needs the token of an account");
  return open(url, rest, payload, "ready");
}

/**
 * Opens a connection only, and resolves when the server has said Hello: then
 * call identify, resume, sendIdentify or sendResume on the handle, within the
 * minute or so that servers give. What is observed before that misses nothing.
 * Rejects as connect does, but for what follows Identify.
 */
export async function spawn(url: string | URL, options: SpawnOptions = {}): Promise<GatewayHandle> {
  check(options, SPAWN, "spawn");
  return open(url, options, null, "connected");
}

async function open(url: string | URL, options: SpawnOptions, identify: Identify | null, want: "ready" | "connected"): Promise<GatewayHandle> {
  const config = configure(url, options, identify);
  const { signal } = options;
  const aborted = () => fail("aborted", "connecting was aborted", signal?.reason);
  if (signal?.aborted) throw aborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => reject(aborted());
    signal?.addEventListener("abort", abort);
    init(given)
      .then(resolve, reject)
      .finally(() => signal?.removeEventListener("abort", abort));
  });
  const connection = new Connection(++lastId, config, options.log);
  const handle = new GatewayHandle(connection, true);
  for (const [name, observer] of Object.entries(options.observe ?? {})) handle.observe(name, observer as Observer<unknown>);
  options.setup?.(handle);
  if (signal?.aborted) throw aborted();
  connections.set(connection.id, connection);
  connection.onDone(() => connections.delete(connection.id));
  return new Promise((resolve, reject) => {
    const stop = connection.lifecycle.add("state", ({ state, error }: { state: string; error: GatewayError | null }) => {
      if (state !== want && state !== "closed") return;
      stop();
      signal?.removeEventListener("abort", abort);
      if (state === want) resolve(handle);
      else reject(error ?? fail("closed", "the handle was closed before it was ready"));
    });
    const abort = () => {
      stop();
      connection.close(false);
      reject(aborted());
    };
    signal?.addEventListener("abort", abort);
    connection.open(host!);
  });
}

/** Checks the options, without a word on the URL, which may hold a password, and brings them into the form that the core takes. */
function configure(url: string | URL, o: SpawnOptions, identify: Identify | null): CoreConfig {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw fail("invalid_url", "this is not the URL of a gateway, which begins with wss:// or ws://");
  }
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    throw fail("invalid_url", `the URL of a gateway begins with wss:// or ws://${/^https?:$/.test(parsed.protocol) ? `, not ${parsed.protocol}//` : ""}`);
  }
  if (parsed.username || parsed.password) throw fail("invalid_url", "the URL of a gateway has no user name or password in it");
  if (parsed.protocol === "ws:" && location.protocol === "https:" && !isLoopback(parsed.hostname)) {
    throw fail("invalid_url", `a page loaded over https cannot connect to ${parsed.host} over ws://; use wss://`);
  }
  const encodings = { auto: "json", json: "json", etf: "etf" } as const;
  const encoding = encodings[o.encoding ?? "auto"];
  if (!encoding) throw fail("invalid_option", `encoding is "auto", "json" or "etf", not ${describe(o.encoding)}`);
  const compressions = { auto: ["/zstd-stream", "/zlib-stream", ""], none: [""], "zlib-stream": ["/zlib-stream"], "zstd-stream": ["/zstd-stream"] } as const;
  const compress = compressions[o.compress ?? "auto"];
  if (!compress) throw fail("invalid_option", `compress is "auto", "none", "zlib-stream" or "zstd-stream", not ${describe(o.compress)}`);
  const levels = ["debug", "info", "warn", "error"] as const;
  if (o.log !== undefined && levels.some((level) => typeof o.log?.[level] !== "function")) {
    throw fail("invalid_option", `log is an object with the functions ${levels.join(", ")}, such as console`);
  }
  const session = o.session ?? null;
  if (session && (typeof session.id !== "string" || session.id === "" || !Number.isInteger(session.seq))) {
    throw fail("invalid_option", "a session to resume has an id and a seq; pass what handle.session was");
  }
  const number = (name: "version" | "maxMessageSize" | "maxReceiveSize" | "queueSize", least: number, most: number) => {
    const value = o[name];
    if (value === undefined) return 0;
    if (!Number.isInteger(value) || value < least || value > most) throw fail("invalid_option", `${name} is a whole number from ${least} to ${most}, not ${describe(value)}`);
    return value;
  };
  const { attempts } = o;
  if (attempts !== undefined && attempts !== Infinity && (!Number.isSafeInteger(attempts) || attempts < 1)) throw fail("invalid_option", `attempts is a whole number from 1, or Infinity, not ${describe(attempts)}`);
  let text = "";
  try {
    if (identify) text = JSON.stringify(identify);
  } catch (thrown) {
    throw fail("invalid_payload", `what to identify with cannot be made JSON: ${describe(thrown)}`, thrown);
  }
  return {
    url: parsed.href,
    identify: text,
    version: number("version", 1, 1000),
    transports: compress.map((c) => encoding + c).join(" "),
    maxMessageSize: number("maxMessageSize", 512, 1 << 24),
    maxReceiveSize: number("maxReceiveSize", 4096, 1 << 29),
    queueSize: number("queueSize", 1, 1 << 16),
    attempts: attempts === Infinity ? -1 : (attempts ?? 0),
    session: session && { id: session.id, seq: session.seq, resumeUrl: session.resumeUrl ?? "", standing: session.standing ?? "" },
  };
}

/** Browsers let secure pages connect to the machine itself without encryption. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || /^127\./.test(host) || host === "[::1]";
}

let listening = false;

/** Tells the core when the page or the network comes back. */
function listen(): void {
  if (listening) return;
  listening = true;
  const wake = () => {
    hurry?.();
    host?.post({ type: "wake" });
  };
  addEventListener("online", wake);
  addEventListener("pageshow", (event) => event.persisted && wake());
  if (typeof document !== "undefined") {
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
    document.addEventListener("resume", wake); // after the browser had frozen the page
  }
}
