// Who observes what.

/** What an observer is told about an event besides its payload. */
export interface EventInfo {
  /** Name of the event, such as "MESSAGE_CREATE". */
  readonly type: string;
  /** Sequence number of the event in its session; null where it has none. */
  readonly seq: number | null;
  /** Length of the whole message as JSON text, in characters. */
  readonly size: number;
}

/** An object that observes events: its `update` is called with each. */
export interface ObserverObject<T> {
  update(data: T, event: EventInfo): void;
}

/** A function or an object that observes events. */
export type Observer<T> = ((data: T, event: EventInfo) => void) | ObserverObject<T>;

/** Takes back a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** How a subscription may end by itself. */
export interface ObserveOptions {
  /** Ends the subscription when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** One observer of one kind of thing. */
interface Entry {
  call: (data: never, event: never) => void;
  gone: boolean;
}

/**
 * The observers of one connection, by name. They are called in the order in
 * which they subscribed. One that leaves while others are being called is not
 * called any more; one that comes is called from the next event on.
 */
export class Observers {
  // The lists are replaced, not changed: one may be walked meanwhile.
  #lists = new Map<string, readonly Entry[]>();
  #every: readonly Entry[] | undefined; // the list of "*", which every event asks for
  #threw: (name: string, thrown: unknown) => void;
  #changed: (name: string, on: boolean) => void;

  /**
   * `threw` is told what an observer throws; `changed` when a name gets its
   * first observer or loses its last.
   */
  constructor(threw: (name: string, thrown: unknown) => void, changed: (name: string, on: boolean) => void = () => {}) {
    this.#threw = threw;
    this.#changed = changed;
  }

  add(name: string, call: (data: never, event: never) => void): Unsubscribe {
    const entry: Entry = { call, gone: false };
    const list = this.#lists.get(name);
    this.#set(name, list ? [...list, entry] : [entry]);
    if (!list) this.#changed(name, true);
    return () => {
      if (entry.gone) return;
      entry.gone = true;
      const left = this.#lists.get(name)!.filter((e) => e !== entry);
      this.#set(name, left);
      if (left.length === 0) this.#changed(name, false);
    };
  }

  #set(name: string, list: readonly Entry[]): void {
    if (list.length > 0) this.#lists.set(name, list);
    else this.#lists.delete(name);
    if (name === "*") this.#every = list.length > 0 ? list : undefined;
  }

  has(name: string): boolean {
    return this.#lists.has(name);
  }

  /** Calls the observers of a name. What one throws does not reach the others. */
  call(name: string, data: unknown, event?: unknown): void {
    const list = this.#lists.get(name);
    if (list !== undefined) this.#callAll(list, name, data, event);
  }

  /** Calls the observers of an event, and those of every event. */
  callEvent(data: unknown, event: EventInfo): void {
    const list = this.#lists.get(event.type);
    if (list !== undefined) this.#callAll(list, event.type, data, event);
    if (this.#every !== undefined) this.#callAll(this.#every, event.type, data, event);
  }

  #callAll(list: readonly Entry[], name: string, data: unknown, event: unknown): void {
    for (let i = 0; i < list.length; i++) {
      const entry = list[i]!;
      if (entry.gone) continue;
      try {
        entry.call(data as never, event as never);
      } catch (thrown) {
        this.#threw(name, thrown);
      }
    }
  }

  /** The names that are observed. */
  names(): string[] {
    return [...this.#lists.keys()];
  }
}
