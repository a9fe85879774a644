// One connection as the page sees it: what all clones of a handle share.

import { describe, fail, GatewayError, type ErrorInfo } from "./errors.js";
import { Observers, type EventInfo, type Unsubscribe } from "./observers.js";
import type { Command, CoreConfig, CoreStats, Host, Loss, Report, Session, State, StateReport } from "./protocol.js";

/** A change of a connection's state. */
export interface StateChange {
  /** The state from now on. */
  readonly state: State;
  /** In "ready": whether the session is the one from before. */
  readonly resumed: boolean;
  /** In "backoff": when the next attempt is made, in ms since the epoch. */
  readonly retryAt: number | null;
  /** In "backoff" and "closed": why; null if it was asked for. */
  readonly error: GatewayError | null;
}

/** What was missed when a session was lost. */
export interface Gap {
  /** Why the session was lost. */
  readonly reason: GatewayError;
  /** The highest sequence number received before; -1 if there was none. */
  readonly lastSeq: number;
  /** When the session was last heard or, at most a heartbeat interval (some 45 s) before, was last known to be, in ms since the epoch. */
  readonly disconnectedAt: number;
  /** When events began to arrive again, in ms since the epoch. */
  readonly reconnectedAt: number;
  /** Whether a new session has taken the old one's place, so that all that happened between the two times is missing. */
  readonly sessionLost: boolean;
}

/** What a connection has done. */
export interface Stats extends CoreStats {
  /** Events that iterations dropped because their loops were slow. */
  dropped: number;
}

/**
 * Where changes of state, gaps and errors are logged, in the order of the events;
 * never payloads or tokens. `console` is one. What goes well comes at the levels
 * debug and info, trouble that the handle copes with as warn, and its end by a
 * fatal error as error. The second argument of each has the details.
 */
export interface Logger {
  debug(message: string, details: Readonly<Record<string, unknown>>): void;
  info(message: string, details: Readonly<Record<string, unknown>>): void;
  warn(message: string, details: Readonly<Record<string, unknown>>): void;
  error(message: string, details: Readonly<Record<string, unknown>>): void;
}

/** The things besides events that can be observed. */
export interface Lifecycle {
  state: StateChange;
  error: GatewayError;
  gap: Gap;
  session: Session | null;
}

/** The number of an event is only looked for when somebody asks. */
class Info implements EventInfo {
  readonly type: string;
  readonly #text: string;

  constructor(type: string, text: string) {
    this.type = type;
    this.#text = text;
  }

  get size(): number {
    return this.#text.length;
  }

  get seq(): number | null {
    const found = /,"s":(\d+)\s*\}\s*$/.exec(this.#text.slice(-40)) ?? /^\{(?:"(?:op|t)":(?:\d+|"[^"]*"),)*"s":(\d+)/.exec(this.#text.slice(0, 200));
    return found ? Number(found[1]) : ((JSON.parse(this.#text) as { s?: number | null }).s ?? null);
  }
}

interface Pending {
  resolve: (value: never) => void;
  reject: (error: GatewayError) => void;
}

export class Connection {
  readonly id: number;
  readonly config: CoreConfig;
  /** Observers of events; "*" is every event. */
  readonly events: Observers;
  readonly lifecycle: Observers;
  /** Settles when the connection is closed for good: with the error, or null. */
  readonly done: Promise<GatewayError | null>;

  state: State = "idle";
  latency = 0;
  dropped = 0;
  #log: Logger | undefined;
  #session: Session | null;
  #lost: Loss | null = null;
  #seq = -1;
  #host: Host | undefined; // undefined while there is none
  #closing: boolean | undefined;
  #finish!: (error: GatewayError | null) => void;
  #ends = new Set<(error: GatewayError | null) => void>();
  #pending = new Map<number, Pending>();
  #lastReq = 0;

  constructor(id: number, config: CoreConfig, log?: Logger) {
    this.id = id;
    this.config = config;
    this.#log = log;
    this.#session = config.session;
    this.done = new Promise((resolve) => (this.#finish = resolve));
    this.lifecycle = new Observers((name, thrown) => {
      const error = fail("observer_threw", `an observer of ${name} threw: ${describe(thrown)}`, thrown);
      if (name === "error") console.error(error); // it would be told of itself for ever
      else this.raise(error);
    });
    this.events = new Observers(
      (name, thrown) => this.raise(fail("observer_threw", `an observer of ${name} threw: ${describe(thrown)}`, thrown)),
      (name, on) => {
        if (this.state !== "closed") this.#post({ type: on ? "observe" : "unobserve", id, name });
      },
    );
  }

  /**
   * Calls fn when the connection is closed for good. What would have been added to
   * `done` can be taken back here: a promise keeps it for as long as the connection lives.
   */
  onDone(fn: (error: GatewayError | null) => void): Unsubscribe {
    this.#ends.add(fn);
    return () => void this.#ends.delete(fn);
  }

  /** The session to resume, as far as the page has seen it. */
  get session(): Session | null {
    return this.#session && { ...this.#session, seq: Math.max(this.#session.seq, this.#seq, this.#host?.seq?.(this.id) ?? -1) };
  }

  /**
   * Begins to connect, in this host; or goes on in it. What is observed by now
   * misses nothing.
   */
  open(host: Host): void {
    this.#host = host;
    host.post({ type: "open", id: this.id, config: { ...this.config, session: this.session }, lost: this.#lost, observe: this.events.names() });
    if (this.#closing !== undefined) this.close(this.#closing);
  }

  /** The host is gone. */
  interrupt(error: ErrorInfo): void {
    this.#host = undefined;
    if (this.state === "ready" && !this.#session && this.#lost) {
      // A session that nobody can resume goes only now.
      this.#lost = { ...this.#lost, lastSeq: Math.max(this.#lost.lastSeq, this.#seq), disconnectedAt: Date.now() };
    }
    for (const req of [...this.#pending.keys()]) this.#settle(req, { code: "disconnected", message: "the core was restarted before the matter was settled" }, undefined);
    this.report({ type: "error", error });
    this.report({ type: "state", state: "backoff", error });
  }

  #post(command: Command): void {
    this.#host?.post(command);
  }

  /** Takes what the core reports. */
  report(r: Report): void {
    if (typeof r === "string") return this.#message(r);
    if (typeof r === "number") {
      this.#seq = r;
      return;
    }
    switch (r.type) {
      case "state":
        this.#changed(r);
        break;
      case "error":
        this.raise(new GatewayError(r.error));
        break;
      case "gap":
        this.#gap({ ...r.gap, reason: new GatewayError(r.gap.reason) });
        break;
      case "session":
        this.#session = r.session;
        this.#seq = r.session?.seq ?? -1;
        this.lifecycle.call("session", r.session);
        break;
      case "lost":
        this.#lost = r.lost;
        break;
      case "latency":
        this.latency = r.latency;
        this.#seq = Math.max(this.#seq, r.seq);
        break;
      case "sent":
        this.#settle(r.req, r.error, undefined);
        break;
      case "stats":
        this.#settle(r.req, undefined, r.stats);
        break;
    }
  }

  /** An event has come whose payload is known to be a part of its message. This is the page's part of the hot path. */
  event(name: string, text: string, from: number, to: number): void {
    let data: unknown;
    try {
      data = JSON.parse(text.slice(from, to));
    } catch {
      return this.#message(text); // there was more behind it, or it is no JSON
    }
    this.events.callEvent(data, new Info(name, text));
  }

  #message(text: string): void {
    let message: { t: string; d: unknown };
    try {
      message = JSON.parse(text);
    } catch {
      // What was thrown quotes the payload, which no log is to have.
      const name = /"t":"([^"]{1,64})"/.exec(text.slice(0, 200))?.[1];
      this.raise(fail("malformed_message", `the payload of ${name ?? "an event"} is not valid JSON`));
      return;
    }
    this.events.callEvent(message.d, new Info(message.t, text));
  }

  #changed(r: StateReport): void {
    this.state = r.state;
    const error = r.error ? new GatewayError(r.error) : null;
    if (r.state === "closed") {
      for (const req of [...this.#pending.keys()]) this.#settle(req, { code: "closed", message: "the handle was closed" }, undefined);
    }
    this.#logState(r, error);
    this.lifecycle.call("state", { state: r.state, resumed: r.resumed ?? false, retryAt: r.retryAt ?? null, error } satisfies StateChange);
    if (r.state !== "closed") return;
    for (const end of [...this.#ends]) end(error);
    this.#ends.clear();
    this.#finish(error);
  }

  #gap(gap: Gap): void {
    this.#write("warn", "gateway events missed", { ...about(gap.reason), lastSeq: gap.lastSeq, missedMs: gap.reconnectedAt - gap.disconnectedAt });
    this.lifecycle.call("gap", gap);
  }

  #logState(r: StateReport, error: GatewayError | null): void {
    if (r.state === "ready") this.#write("info", "gateway ready", { resumed: r.resumed ?? false });
    else if (r.state === "backoff") this.#write("warn", "gateway disconnected", { ...about(error), retryInMs: r.retryAt === undefined ? null : Math.max(0, r.retryAt - Date.now()) });
    else if (r.state !== "closed") this.#write("debug", "gateway state", { state: r.state });
    else if (error && error.code !== "closed") this.#write("error", "gateway closed", about(error));
    else this.#write("info", "gateway closed", {});
  }

  /** A logger is the page's code like any observer: what it throws disturbs nobody. */
  #write(level: keyof Logger, message: string, details: Record<string, unknown>): void {
    try {
      this.#log?.[level](message, details);
    } catch (thrown) {
      this.#log = undefined;
      this.raise(fail("observer_threw", `the logger threw and is not called again: ${describe(thrown)}`, thrown));
    }
  }

  /** Tells the observers of errors; if there are none, the console. */
  raise(error: GatewayError): void {
    this.#write("warn", "gateway error", about(error));
    if (this.lifecycle.has("error")) this.lifecycle.call("error", error);
    else if (error.code === "observer_threw") console.error(error);
  }

  /** Sends a payload that has been made text already. */
  send(op: number, payload: string, signal?: AbortSignal): Promise<void> {
    return this.#request((req) => ({ type: "send", id: this.id, req, op, payload }), signal);
  }

  async stats(): Promise<Stats> {
    const stats = await this.#request<CoreStats>((req) => ({ type: "stats", id: this.id, req }));
    return { ...stats, dropped: this.dropped };
  }

  close(keep: boolean): void {
    if (this.state === "closed") return;
    this.#closing = keep;
    if (!this.#host && this.state === "backoff") return this.report({ type: "state", state: "closed" }); // another host may be long in coming
    this.#post({ type: "close", id: this.id, keep });
  }

  #request<T>(command: (req: number) => Command, signal?: AbortSignal): Promise<T> {
    if (this.state === "closed") return Promise.reject(fail("closed", "the handle is closed"));
    if (!this.#host) return Promise.reject(fail("not_ready", "the core is being restarted"));
    if (signal?.aborted) return Promise.reject(fail("aborted", "the send was aborted", signal.reason));
    const req = ++this.#lastReq;
    return new Promise<T>((resolve, reject) => {
      const abort = () => this.#post({ type: "cancel", id: this.id, req });
      const off = () => signal?.removeEventListener("abort", abort);
      signal?.addEventListener("abort", abort);
      this.#pending.set(req, {
        resolve: (value: never) => (off(), resolve(value)),
        reject: (error) => (off(), reject(error)),
      });
      this.#post(command(req));
    });
  }

  #settle(req: number, error: ErrorInfo | undefined, value: unknown): void {
    const pending = this.#pending.get(req);
    this.#pending.delete(req);
    if (error) pending?.reject(new GatewayError(error));
    else pending?.resolve(value as never);
  }
}

/** What a log tells of an error. */
function about(error: GatewayError | null): Record<string, unknown> {
  if (!error) return {};
  return error.closeCode === undefined ? { code: error.code, error: error.message } : { code: error.code, error: error.message, closeCode: error.closeCode };
}
