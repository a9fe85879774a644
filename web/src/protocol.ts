// What the page and the core say to each other. On the main thread these are
// function calls, with a Worker they are messages; the words are the same.

import type { ErrorInfo } from "./errors.js";

/** What the core needs to open a session. Everything has been checked. */
export interface CoreConfig {
  url: string;
  /** The payload of Identify as JSON, token included; "" if the caller identifies. */
  identify: string;
  version: number;
  /** Transports in order of preference, as the core writes them. */
  transports: string;
  maxMessageSize: number;
  maxReceiveSize: number;
  queueSize: number;
  attempts: number;
  session: Session | null;
}

/** What it takes to resume a session on another connection. */
export interface Session {
  /** The id that READY gave the session. */
  id: string;
  /** The highest sequence number received, -1 if there was none. */
  seq: number;
  /** Where READY said to resume; may be empty. */
  resumeUrl: string;
  /**
   * What the session has been told and a new one in its place will be told
   * again: presence, voice channels, guild subscriptions. Text for the core alone.
   */
  standing: string;
}

/**
 * What is left of a session that is gone, while there is no other in its place:
 * the gap that the next one will report, and what it will be told again.
 */
export interface Loss {
  reason: ErrorInfo;
  lastSeq: number;
  /** In milliseconds since the Unix epoch. */
  disconnectedAt: number;
  standing: string;
}

/** The states of a connection. */
export type State =
  | "idle"
  | "dialing"
  | "awaiting_hello"
  | "connected"
  | "identifying"
  | "resuming"
  | "ready"
  | "backoff"
  | "closed";

/** From the page to the core. `id` is a handle, numbered by the page. */
export type Command =
  | { type: "open"; id: number; config: CoreConfig; lost: Loss | null; observe: string[] }
  | { type: "observe"; id: number; name: string }
  | { type: "unobserve"; id: number; name: string }
  | { type: "send"; id: number; req: number; op: number; payload: string }
  | { type: "cancel"; id: number; req: number }
  | { type: "close"; id: number; keep: boolean }
  | { type: "stats"; id: number; req: number }
  | { type: "wake" }
  | { type: "inspect" }
  | { type: "crash" };

/**
 * From the core to the page. An event is nothing but the JSON text of its whole
 * message: the page parses it, once, and finds name, number and payload in it.
 */
export type Report =
  | string
  /** The number up to which events have been handed over, from time to time. */
  | number
  | StateReport
  | { type: "error"; error: ErrorInfo }
  | { type: "gap"; gap: GapInfo }
  | { type: "session"; session: Session | null }
  /** What another core would need to report the gap that is still to come, if there is one. */
  | { type: "lost"; lost: Loss | null }
  | { type: "latency"; latency: number; seq: number }
  /** Of no handle: reported under the number 0. */
  | ({ type: "inspection" } & Inspection)
  | { type: "sent"; req: number; error?: ErrorInfo }
  | { type: "stats"; req: number; stats: CoreStats };

/** What the core holds, for tests that look for leaks. */
export interface Inspection {
  /** Sessions on the JavaScript side, and in Go. */
  slots: number;
  cores: number;
  /** JavaScript values that Go holds. */
  values: number;
  /** Bytes of the WebAssembly memory, and of what Go has alive in it. */
  memory: number;
  heap: number;
}

/** Times are milliseconds since the Unix epoch. */
export interface GapInfo {
  reason: ErrorInfo;
  lastSeq: number;
  disconnectedAt: number;
  reconnectedAt: number;
  sessionLost: boolean;
}

/** What a session counts. After a crash of the core these begin anew. */
export interface SessionStats {
  /** Events that arrived, by name, observed or not. */
  events: Record<string, number>;
  /** How often a connection was opened, or tried to be. */
  dials: number;
  /** How often a session went on over another connection. */
  resumes: number;
  /** How many gaps were reported. */
  gaps: number;
  /** Bytes received, decompressed. */
  bytesDecoded: number;
  /** Sends that wait for the rate limit. */
  queued: number;
  /**
   * How long the server took to acknowledge heartbeats, in ms: the last one, and
   * on average and at worst but for one in a hundred of the last 128. 0 before
   * the first.
   */
  latency: { last: number; mean: number; p99: number };
}

/** What the core counts. */
export interface CoreStats extends SessionStats {
  /** Messages received, of any kind, as the WebSocket delivered them. */
  messages: number;
  /** Bytes received on the wire; of text its UTF-16 units. */
  bytesReceived: number;
  /** Bytes sent on the wire. */
  bytesSent: number;
  /** How often the wasm instance was restarted after a crash. */
  crashes: number;
}

/** A new state. */
export interface StateReport {
  type: "state";
  state: State;
  resumed?: boolean;
  /** In milliseconds since the Unix epoch. */
  retryAt?: number;
  error?: ErrorInfo;
}

/** Reports on their way from a Worker: a handle, its report, and so on. */
export type Batch = (number | Report)[];

/** Takes what the core reports, in the order in which it arose. */
export interface Sink {
  report(id: number, report: Report): void;
  /** An event whose payload is known to be text.slice(from, to): a report that spares a part of the parsing. */
  event(id: number, name: string, text: string, from: number, to: number): void;
  /** Called with every 64th message of a connection, observed or not. */
  busy?(): void;
}

/** A place where the core runs: this thread or a Worker. */
export interface Host {
  /** "worker" or "main". */
  readonly kind: "worker" | "main";
  /** The binary, with which it can be started again. */
  readonly module: WebAssembly.Module | undefined;
  post(command: Command): void;
  /** How far a handle's events have been handed over, where that can be asked for at once. */
  seq?(id: number): number | undefined;
  /** Ends it. Nothing is reported any more. */
  terminate(): void;
}

/** Where the WebAssembly binary comes from. */
export type WasmSource = string | WebAssembly.Module | ArrayBuffer;
