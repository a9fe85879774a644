/// <reference lib="esnext.disposable" preserve="true" />
// The handle: what a web app holds of a connection.

import { Connection, type Gap, type StateChange, type Stats } from "./connection.js";
import { describe, fail, type GatewayError } from "./errors.js";
import type { EventInfo, ObserveOptions, Observer, Unsubscribe } from "./observers.js";
import { sends, type DispatchEvents, type EventName, type SendName, type SendPayloads } from "./protocol.gen.js";
import { addRequests, check, post, wait, type RequestMethods, type SendOptions, type WaitOptions } from "./requests.js";
import { validate } from "./validate.js";
import type { Session, State } from "./protocol.js";
import { watchOf, type Watch } from "./watch.js";

export { check } from "./requests.js";

/** The payload of an event by its name; unknown for names the protocol does not have. */
export type Payload<N extends string> = N extends EventName ? DispatchEvents[N] : unknown;

/** Options of closing a handle. */
export interface CloseOptions {
  /** Leaves the session to be resumed with the `session` option, instead of ending it. */
  resumable?: boolean | undefined;
}

type SendMethod<N extends SendName> = N extends `send${string}` ? N : `send${Capitalize<N>}`;

/**
 * The send functions, one for each message there is. Each resolves when the
 * message is on its way, which the rate limit may delay, and rejects with
 * "not_ready", "already_identified", "invalid_option", "invalid_payload",
 * "message_too_large", "queue_full", "closed", "disconnected" or "aborted". What
 * failed was not sent, but for one case: "disconnected" because the core, or the
 * Worker it is in, has come to an end cannot tell.
 */
export type SendMethods = {
  [N in SendName as SendMethod<N>]: (payload: SendPayloads[N], options?: SendOptions) => Promise<void>;
};

const BUFFER = 1024; // events that an iteration may fall behind

/**
 * One gateway connection for one account. Clones share the connection and have
 * observers of their own.
 */
export class GatewayHandle {
  readonly #c: Connection;
  readonly #owner: boolean;
  readonly #mine = new Set<Unsubscribe>();
  #watch: Watch | undefined;

  /** @internal Made by connect and spawn. */
  constructor(connection: Connection, owner: boolean) {
    this.#c = connection;
    this.#owner = owner;
  }

  static {
    addRequests(this.prototype, (handle) => (handle as GatewayHandle).#c);
  }

  /** The state of the connection, as far as the page has been told. */
  get state(): State {
    return this.#c.state;
  }

  /** How long the server took to acknowledge the last heartbeat, in ms; 0 before the first. */
  get latency(): number {
    return this.#c.latency;
  }

  /**
   * What it takes to resume the session elsewhere, or null. Its `seq` is as new
   * as the events and heartbeats the page has seen.
   */
  get session(): Session | null {
    return this.#c.session;
  }

  /** Settles when the connection is closed for good: with the fatal error, or with null if it was closed by the page. Never rejects. */
  get done(): Promise<GatewayError | null> {
    return this.#c.done;
  }

  /** Watches objects that keep themselves up to date: `handle.watch.guild(id)`. */
  get watch(): Watch {
    return (this.#watch ??= watchOf(this));
  }

  /** Counts of what the connection has done. Rejects with "closed", or with "not_ready" or "disconnected" while the core is restarted. */
  stats(): Promise<Stats> {
    return this.#c.stats();
  }

  /** Another handle of the same connection, whose close() only ends its own subscriptions. */
  clone(): GatewayHandle {
    return new GatewayHandle(this.#c, false);
  }

  /**
   * Ends the session and the connection, for all clones; or, on a clone, the
   * subscriptions of the clone. Settles when that has happened.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    check(options, ["resumable"], "close");
    if (this.#owner) {
      this.#c.close(options.resumable ?? false);
      await this.#c.done;
    }
    const mine = [...this.#mine];
    this.#mine.clear();
    for (const stop of mine) stop();
  }

  /**
   * Calls the observer with each event of a name, or of several names; "*" is
   * every event. Observers are called in the order in which they subscribed and
   * see the events in the order in which they came. One that throws is reported
   * to the observers of errors and disturbs nobody. Names that the protocol does
   * not have are allowed.
   */
  observe<N extends EventName>(name: N, observer: Observer<DispatchEvents[N]>, options?: ObserveOptions): Unsubscribe;
  observe<N extends EventName>(names: readonly N[], observer: Observer<DispatchEvents[N]>, options?: ObserveOptions): Unsubscribe;
  observe(name: string | readonly string[], observer: Observer<unknown>, options?: ObserveOptions): Unsubscribe;
  observe(name: string | readonly string[], observer: Observer<never>, options: ObserveOptions = {}): Unsubscribe {
    check(options, ["signal"], "observe");
    const names = typeof name === "string" ? [name] : name;
    if (!Array.isArray(names) || names.length === 0 || names.some((n) => typeof n !== "string" || n === "")) {
      throw fail("invalid_option", `observe takes the name of an event, or an array of names, not ${describe(name)}`);
    }
    const call = toCall(observer);
    return this.#keep(
      names.map((n) => this.#c.events.add(n, call)),
      options.signal,
    );
  }

  /** Like observe, for the next event only. */
  once<N extends EventName>(name: N, observer: Observer<DispatchEvents[N]>, options?: ObserveOptions): Unsubscribe;
  once(name: string | readonly string[], observer: Observer<unknown>, options?: ObserveOptions): Unsubscribe;
  once(name: string | readonly string[], observer: Observer<never>, options: ObserveOptions = {}): Unsubscribe {
    const call = toCall(observer);
    const stop = this.observe(
      name,
      (data, event) => {
        stop();
        call(data as never, event as never);
      },
      options,
    );
    return stop;
  }

  /**
   * Waits for the next event of a name for which the predicate returns true.
   * Rejects with "timeout", "aborted" or "closed"; a reconnect does not disturb
   * it.
   */
  async waitFor<N extends string>(name: N, predicate?: ((data: Payload<N>, event: EventInfo) => boolean) | null, options: WaitOptions = {}): Promise<Payload<N>> {
    check(options, ["signal", "timeout"], "waitFor");
    return wait(this.#c, options, `no ${name} came`, (resolve, reject, restart) => {
      restart();
      return [
        this.#c.events.add(name, (data: Payload<N>, event: EventInfo) => {
          try {
            if (!predicate || predicate(data, event)) resolve(data);
          } catch (thrown) {
            reject(fail("observer_threw", `the predicate of waitFor threw: ${describe(thrown)}`, thrown));
          }
        }),
        this.onClose(() => reject(fail("closed", "the handle was closed"))),
      ];
    });
  }

  /**
   * Iterates over the events of a name, or of several, from when the loop begins. It
   * ends with the loop, the signal or the handle, the latter two when the events that
   * wait by then have come. Up to 1024 events wait for the loop's body; when more do,
   * the oldest are dropped and an "overflow" error is reported.
   */
  async *events<N extends EventName>(name: N | readonly N[], options: ObserveOptions = {}): AsyncGenerator<DispatchEvents[N], void, undefined> {
    check(options, ["signal"], "events");
    const waiting: DispatchEvents[N][] = [];
    let wake: (() => void) | undefined;
    let over = this.#c.state === "closed";
    const end = () => {
      over = true;
      wake?.();
    };
    let dropped = 0;
    const observed = this.observe(name as N, (data) => {
      if (waiting.push(data) > BUFFER) {
        waiting.shift();
        this.#c.dropped++;
        if (dropped++ === 0) this.#c.raise(fail("overflow", `events were dropped, as the loop over ${describe(name)} is slow`));
      } else dropped = 0;
      wake?.();
    });
    const stop = this.#keep([observed, this.#c.onDone(end), end], options.signal);
    try {
      while (true) {
        if (waiting.length > 0) yield waiting.shift()!;
        else if (over) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  }

  /** Calls fn with every change of the connection's state. */
  observeState(fn: (change: StateChange) => void, options: ObserveOptions = {}): Unsubscribe {
    return this.#keep([this.#c.lifecycle.add("state", toCall(fn))], options.signal);
  }

  /** Calls fn with every error. After all but fatal ones the handle goes on. */
  observeErrors(fn: (error: GatewayError) => void, options: ObserveOptions = {}): Unsubscribe {
    return this.#keep([this.#c.lifecycle.add("error", toCall(fn))], options.signal);
  }

  /** Calls fn whenever events were missed: once for each session that was lost, when the next one is ready. */
  observeGaps(fn: (gap: Gap) => void, options: ObserveOptions = {}): Unsubscribe {
    return this.#keep([this.#c.lifecycle.add("gap", toCall(fn))], options.signal);
  }

  /** Calls fn when there is a new session to resume, and with null when it is gone. */
  observeSession(fn: (session: Session | null) => void, options: ObserveOptions = {}): Unsubscribe {
    return this.#keep([this.#c.lifecycle.add("session", toCall(fn))], options.signal);
  }

  /** Sends any payload with any opcode. Nothing about it is checked but that it can be JSON. See SendMethods for what it rejects with. */
  async send(op: number, payload: unknown, options: SendOptions = {}): Promise<void> {
    check(options, ["signal"], "send");
    if (!Number.isInteger(op) || op < 0) throw fail("invalid_payload", `an opcode is a whole number, not ${describe(op)}`);
    return post(this.#c, op, payload, options.signal);
  }

  /** @internal Calls fn when what was subscribed through this handle ends with it. */
  onClose(fn: () => void): Unsubscribe {
    const call = () => {
      try {
        fn();
      } catch (thrown) {
        this.#c.raise(fail("observer_threw", `an observer of what is watched threw: ${describe(thrown)}`, thrown));
      }
    };
    this.#mine.add(call);
    return () => void this.#mine.delete(call);
  }

  /** Ties subscriptions to this handle and to a signal. */
  #keep(stops: Unsubscribe[], signal: AbortSignal | undefined): Unsubscribe {
    const stop = () => {
      this.#mine.delete(stop);
      signal?.removeEventListener("abort", stop);
      for (const s of stops) s();
    };
    this.#mine.add(stop);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop);
    return stop;
  }
}

export interface GatewayHandle extends SendMethods, RequestMethods, AsyncDisposable {
  /** Alias of sendRequestCallConnect. */
  sendCallSync: SendMethods["sendRequestCallConnect"];
}

/** The name of the function that sends something. */
export function method(name: SendName): keyof SendMethods {
  return (/^send[A-Z]/.test(name) ? name : `send${name[0]!.toUpperCase()}${name.slice(1)}`) as keyof SendMethods;
}

for (const name of Object.keys(sends) as SendName[]) {
  Object.defineProperty(GatewayHandle.prototype, method(name), {
    configurable: true,
    writable: true,
    async value(this: GatewayHandle, payload: unknown, options?: SendOptions) {
      validate(name, payload);
      return this.send(sends[name], payload, options);
    },
  });
}
GatewayHandle.prototype.sendCallSync = GatewayHandle.prototype.sendRequestCallConnect;

// Lets `await using` close a handle, where the browser has that.
if (Symbol.asyncDispose) {
  GatewayHandle.prototype[Symbol.asyncDispose] = function () {
    return this.close();
  };
}

function toCall<T, E>(observer: ((data: T, event: E) => void) | { update(data: T, event: E): void }): (data: T, event: E) => void {
  if (typeof observer === "function") return observer;
  if (observer && typeof observer.update === "function") return (data, event) => observer.update(data, event);
  throw fail("invalid_option", "an observer is a function, or an object with an update function");
}
