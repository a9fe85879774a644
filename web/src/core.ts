// The core's other half: it owns the wasm instance, the sockets and the timers,
// and holds no rule of the protocol. It runs on the page or in a Worker and
// touches no DOM.

import { describe, type ErrorInfo } from "./errors.js";
import { exact, hasBigInt, hasBigIntBytes } from "./exact.js";
import type { Command, CoreConfig, GapInfo, Host, Loss, Session, State, Sink, StateReport, WasmSource } from "./protocol.js";
import { compile, start, type Control, type Exports, type Failure } from "./wasm.js";

// The kinds of output, as in gateway/session/output.go, and jsbridge's own.
const DIAL = 1,
  WRITE = 2,
  CLOSE = 3,
  DISPATCH = 4,
  STATE = 5,
  ERROR = 6,
  GAP = 7,
  SENT = 8,
  SESSION = 9,
  ACK = 10,
  REARM = 64;

// What a glance can show, as in gateway/session/glance.go.
const UNOBSERVED = 1,
  EVENT = 2,
  PAYLOAD = 3;
// And of how others begin.
const NUMBERED = 2;

// The record of jsbridge/hot.go, as 32-bit words.
const CONN = 0,
  CODE = 1,
  ID = 2,
  BINARY = 3,
  FROM = 4,
  MORE = 5,
  DATA = 6,
  SIZE = 7,
  NUMBER = 4, // as a 64-bit word
  KIND = 10,
  HEAD = 11,
  BEHIND = 12;

// Where the text of an event is from.
const FROM_FRAME = 1,
  FROM_ETF = 2;

// The fields of jsbridge's core, as 32-bit words behind its 64-bit number.
const GATE = 2,
  PASSED = 3;
const MAX_PASSED = 0x7fffffff;

const TAIL = 128; // tailAt of jsbridge/hot.go
const BRACE = 123;
const CLOSING = 125;
const COMMA = 44;
const ZERO = 48;
const NUMBER_KEY = ',"s":';
const MAX_NUMBER = 1e15;
const SHORTEST = 32; // of the messages of events that are worth a glance
const PLACES = 64;
const CONTESTS = 16; // for a place, the last of which is won

// The bound of a message by default, and the least that wire.Limits.MaxFrame is
// (gateway/wire/decoder.go).
const MAX_MESSAGE = 64 << 20;
const LEAST_FRAME = 4 << 20;

const INPUT = 1 << 16; // bytes of the input at first
const LARGE = 1 << 20; // of an input that is given back
const PATIENCE = 8; // frames that could do with less, before it is

const CRASH_LIMIT = 3;
const CRASH_WINDOW = 60_000;
const KEEP = 4200; // the close code that keeps a session

const BUSY = 64; // messages of a connection from one call of Sink.busy to the next

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * How the messages of one kind of event begin, as a glance has shown: with `before`,
 * or, where their number comes early, with `before`, the number and `behind`.
 */
interface Head {
  kind: number;
  name: string;
  /** Where in memory, in words, events of the kind are counted. */
  count: number;
  /** What Go has last said of the kind, or 0 if its observers have changed since. */
  result: number;
  before: string;
  behind: string;
  /** How often another kind has asked for its place. */
  contests: number;
}

/** One handle of the page. */
interface Slot {
  id: number;
  /** Its number in the wasm instance. */
  handle: number;
  /** Where in its memory, in words, the fields of jsbridge's core are; 0 while it is in none. */
  core: number;
  config: CoreConfig;
  /** Bytes that a message may have. */
  most: number;
  observed: Map<string, number>;
  socket: WebSocket | null;
  timer: ReturnType<typeof setTimeout> | undefined;
  armed: number;
  /** Whether its outputs are being taken, further up the stack. */
  busy: boolean;
  again: boolean;
  /** The names of the kinds of event, by their IDs. */
  names: string[];
  /** How messages begin, by `place`. */
  heads: (Head | undefined)[];
  /** The requests whose sends are not settled, by the session's number. */
  sends: Map<number, number>;
  session: Session | null;
  /** What is left of the session before, for another instance. */
  lost: Loss | null;
  state: State;
  /** What the driver counts; the rest is the session's. */
  messages: number;
  bytesReceived: number;
  bytesSent: number;
  /** Bytes of which the session has seen the two ends only. */
  glanced: number;
}

export class Core implements Host {
  readonly kind = "main";
  #sink: Sink;
  #module: WebAssembly.Module | undefined;
  #wasm!: Exports;
  #go!: Control;
  #held!: () => number;
  #alive = false;
  #booting = false; // whether an instance is on its way, though none is there
  #printed = "";
  #slots = new Map<number, Slot>();
  #waiting: Command[] = []; // what came while no instance was running, or not with the slot in it

  // Views of the instance's memory.
  #input!: Uint8Array<ArrayBuffer>;
  #words!: Int32Array;
  #doubles!: Float64Array;
  #bytes!: Uint8Array<ArrayBuffer>;
  #memory!: Int32Array;
  #inputSize = INPUT;
  #small = 0; // frames, one after the other, for which a large input is not needed

  #crashes: number[] = [];
  #crashed = 0;
  #poison = { id: 0, seq: -2 };
  #receiving: Slot | null = null;

  #lag = 0;
  #skew = Date.now() - performance.now();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Loads the binary and starts it. */
  async load(source: WasmSource): Promise<void> {
    this.#module = await compile(source);
    await this.#boot();
  }

  /** The binary, for those who have to load it again. */
  get module(): WebAssembly.Module | undefined {
    return this.#module;
  }

  post(command: Command): void {
    if (this.#alive) return this.#guard(() => this.#command(command));
    if (!this.#booting) {
      // None could be started, which ended all there was; it may be otherwise now.
      if (command.type !== "open" || !this.#module) return;
      this.#restart([]);
    }
    this.#waiting.push(command);
  }

  /** How far a handle's events have been handed over. */
  seq(id: number): number | undefined {
    const slot = this.#slots.get(id);
    return slot?.core && this.#alive ? this.#seq(slot) : undefined;
  }

  /** Bytes that the connections there are have received. */
  received(): number {
    let sum = 0;
    for (const slot of this.#slots.values()) sum += slot.bytesReceived;
    return sum;
  }

  /** Ends everything: sockets close, nothing is reported any more. */
  terminate(): void {
    this.#sink = { report() {}, event() {} };
    this.#alive = false;
    this.#module = undefined;
    this.#waiting = [];
    for (const slot of this.#slots.values()) {
      clearTimeout(slot.timer);
      this.#hangUp(slot, KEEP);
    }
    this.#slots.clear();
  }

  async #boot(): Promise<void> {
    this.#printed = "";
    this.#inputSize = INPUT;
    const { exports, control, held } = await start(this.#module!, (text) => {
      this.#alive = false;
      this.#printed = text;
    });
    this.#wasm = exports;
    this.#go = control;
    this.#held = held;
    this.#alive = true;
    this.#view();
    exports.setClock(this.#clock());
  }

  /** Makes the views anew, which the memory loses when it grows. */
  #view(): void {
    const address = this.#wasm.buffer(this.#inputSize) >>> 0;
    const memory = this.#wasm.mem.buffer as ArrayBuffer;
    const record = this.#wasm.recordAddress() >>> 0;
    this.#bytes = new Uint8Array(memory);
    this.#memory = new Int32Array(memory);
    this.#input = new Uint8Array(memory, address, this.#inputSize);
    this.#words = new Int32Array(memory, record, 13);
    this.#doubles = new Float64Array(memory, record, 5);
  }

  #reserve(size: number): void {
    if (size > this.#inputSize) {
      this.#inputSize = Math.max(size, Math.min(this.#inputSize * 2, LARGE));
      this.#view();
    }
  }

  /** Gives a large input back when frames of this size keep coming. */
  #relax(size: number): void {
    this.#small = size > LARGE / 3 ? 0 : this.#small + 1;
    if (this.#small < PATIENCE) return;
    this.#small = 0;
    this.#inputSize = LARGE;
    this.#view();
  }

  /** Writes a text, or what of it has `most` bytes, at `at` of the input and returns where it ends. */
  #putText(text: string, at = 0, most = Infinity): number {
    if (this.#input.length === 0) this.#view();
    let { read, written } = encoder.encodeInto(text, at ? this.#input.subarray(at) : this.#input);
    if (read === text.length) return at + written;
    if (read > 0) {
      // It takes about as many bytes for a letter as its beginning did.
      this.#reserve(at + Math.min(Math.ceil((text.length * written) / read) + (text.length >> 4), most));
      ({ read, written } = encoder.encodeInto(text, at ? this.#input.subarray(at) : this.#input));
      if (read === text.length) return at + written;
    }
    // Or more. How many is found out outside of Go's memory, which never shrinks.
    const bytes = encoder.encode(text);
    const size = Math.min(bytes.length, most);
    this.#reserve(at + size);
    this.#input.set(size < bytes.length ? bytes.subarray(0, size) : bytes, at);
    return at + size;
  }

  #text(at: number, size: number): string {
    if (this.#bytes.length === 0) this.#view();
    return size === 0 ? "" : decoder.decode(this.#bytes.subarray(at, at + size));
  }

  /**
   * Milliseconds that never run backwards. performance.now() stands still while
   * a machine sleeps; the wall clock does not, so its leaps forward are added.
   */
  #clock(): number {
    return performance.now() + this.#lag;
  }

  #noticeSleep(): void {
    const skew = Date.now() - performance.now();
    const leap = skew - this.#skew;
    this.#skew = skew;
    if (leap <= 1000) return;
    this.#lag += leap;
    this.#wasm.setClock(this.#clock());
  }

  /** From the core's clock to milliseconds since the epoch. */
  #epoch(t: number): number {
    return Math.round(t - this.#clock() + Date.now());
  }

  #command(c: Command): void {
    if (c.type === "open") return this.#open(c.id, c.config, c.lost, c.observe);
    if (c.type === "wake") {
      this.#noticeSleep();
      for (const slot of [...this.#slots.values()]) {
        if (slot.core === 0) continue;
        this.#wasm.wake(slot.handle, this.#clock());
        this.#pump(slot);
      }
      return;
    }
    if (c.type === "crash") return this.#wasm.crash();
    if (c.type === "inspect") {
      this.#sink.report(0, { type: "inspection", slots: this.#slots.size, values: this.#held(), memory: this.#wasm.mem.buffer.byteLength, ...this.#go.inspect() });
      return;
    }
    const slot = this.#slots.get(c.id);
    if (!slot) {
      if (c.type === "send") this.#sink.report(c.id, { type: "sent", req: c.req, error: { code: "closed", message: "cannot send: the handle is closed" } });
      return;
    }
    if (slot.core === 0) {
      this.#waiting.push(c); // until the slot is in the new instance, too
      return;
    }
    switch (c.type) {
      case "observe":
        slot.observed.set(c.name, (slot.observed.get(c.name) ?? 0) + 1);
        this.#go.observe(slot.handle, c.name);
        forgetResults(slot);
        break;
      case "unobserve":
        slot.observed.set(c.name, (slot.observed.get(c.name) ?? 1) - 1);
        this.#go.unobserve(slot.handle, c.name);
        forgetResults(slot);
        break;
      case "send": {
        const id = this.#go.send(slot.handle, c.op, c.payload, this.#clock());
        if (typeof id === "number") slot.sends.set(id, c.req);
        else this.#sink.report(slot.id, { type: "sent", req: c.req, error: tidy(id) });
        break;
      }
      case "cancel":
        for (const [id, req] of slot.sends) if (req === c.req) this.#go.cancel(slot.handle, id);
        break;
      case "close":
        this.#go.close(slot.handle, this.#clock(), c.keep);
        break;
      case "stats":
        this.#stats(slot, c.req);
        return;
    }
    this.#pump(slot);
  }

  #stats(slot: Slot, req: number): void {
    const { messages, bytesReceived, bytesSent } = slot;
    const stats = this.#go.stats(slot.handle);
    stats.bytesDecoded += slot.glanced;
    this.#sink.report(slot.id, { type: "stats", req, stats: { ...stats, messages, bytesReceived, bytesSent, crashes: this.#crashed } });
  }

  #open(id: number, config: CoreConfig, lost: Loss | null, observe: string[]): void {
    const slot: Slot = {
      id,
      handle: 0,
      core: 0,
      config,
      most: config.maxReceiveSize || MAX_MESSAGE,
      observed: new Map(),
      socket: null,
      timer: undefined,
      armed: -1,
      busy: false,
      again: false,
      names: [],
      heads: new Array<undefined>(PLACES).fill(undefined),
      sends: new Map(),
      session: config.session,
      lost,
      state: "idle",
      messages: 0,
      bytesReceived: 0,
      bytesSent: 0,
      glanced: 0,
    };
    for (const name of observe) slot.observed.set(name, (slot.observed.get(name) ?? 0) + 1);
    this.#slots.set(id, slot);
    this.#begin(slot);
  }

  /** Makes the session of a slot in the present instance and starts it. */
  #begin(slot: Slot): void {
    const { config, session: last, lost } = slot;
    const seed = crypto.getRandomValues(new Uint32Array(2));
    const handle = this.#go.open({
      ...config,
      seed: seed[0]! * 0x100000 + (seed[1]! & 0xfffff),
      sessionId: last?.id ?? "",
      seq: last?.seq ?? -1,
      resumeUrl: last?.resumeUrl ?? "",
      standing: last?.standing ?? "",
      lost: lost && { ...lost.reason, lastSeq: lost.lastSeq, disconnectedAt: Math.min(0, lost.disconnectedAt - Date.now()) + this.#clock(), standing: lost.standing },
    });
    if (typeof handle !== "number") {
      this.#end(slot, { ...tidy(handle), fatal: true });
      return;
    }
    slot.handle = handle;
    slot.names = [];
    slot.heads.fill(undefined);
    slot.core = this.#wasm.coreAddress(handle) >>> 2;
    for (const [name, n] of slot.observed) for (let i = 0; i < n; i++) this.#go.observe(handle, name);
    this.#go.start(handle, this.#clock());
    this.#pump(slot);
  }

  /** Reports the end of a handle that the session could not end itself. */
  #end(slot: Slot, error: ErrorInfo): void {
    clearTimeout(slot.timer);
    this.#hangUp(slot, KEEP);
    this.#slots.delete(slot.id);
    for (const req of slot.sends.values()) this.#sink.report(slot.id, { type: "sent", req, error: { code: "closed", message: "the handle is closed" } });
    this.#ended(slot.id, error);
  }

  #ended(id: number, error: ErrorInfo): void {
    this.#sink.report(id, { type: "error", error });
    this.#sink.report(id, { type: "state", state: "closed", error });
  }

  /** A message has arrived. This is the hot path. */
  #received(slot: Slot, conn: number, data: string | ArrayBuffer): void {
    if (++slot.messages % BUSY === 0) this.#sink.busy?.();
    let size: number;
    let binary = 0;
    this.#receiving = slot; // to the end: making room for a message can crash, too
    if (typeof data === "string") {
      if (data.length <= slot.most && (this.#again(slot, conn, data) || this.#glance(slot, conn, data))) {
        this.#receiving = null;
        slot.bytesReceived += data.length;
        slot.glanced += data.length;
        return;
      }
      const refused = refusedAt(slot);
      if (this.#inputSize > LARGE) this.#relax(data.length);
      size = this.#putText(data.length > refused ? data.slice(0, refused) : data, 0, refused);
    } else {
      size = Math.min(data.byteLength, refusedAt(slot));
      binary = 1;
      if (this.#inputSize > LARGE) this.#relax(size);
      if (this.#input.length === 0) this.#view();
      this.#reserve(size);
      this.#input.set(new Uint8Array(data, 0, size));
    }
    slot.bytesReceived += size;
    const kind = this.#wasm.received(slot.handle, conn, size, binary);
    this.#receiving = null;
    if (kind === 0) return;
    if (kind !== DISPATCH || this.#words[MORE] !== 0) return this.#pump(slot, kind, data); // MORE is undefined where memory has grown
    slot.busy = true;
    this.#dispatch(slot, data);
    slot.busy = false;
    if (slot.again) this.#pump(slot);
  }

  /**
   * Shows Go the two ends of a message, which is all it needs of most: handing
   * over the whole text costs half as much as parsing it. Reports whether that
   * was enough.
   */
  #glance(slot: Slot, conn: number, text: string): boolean {
    const input = this.#input;
    if (input.length === 0 || text.length < SHORTEST) return false;
    // The payload begins at the second brace, nearly always.
    const limit = Math.min(TAIL, text.length);
    let head = 0;
    let c = 0;
    let any = 0;
    do {
      input[head] = c = text.charCodeAt(head);
      any |= c;
    } while ((c !== BRACE || head === 0) && ++head < limit);
    // The number, if it comes last, is behind the last comma.
    let at = text.length;
    const least = at - 24;
    do any |= c = text.charCodeAt(--at);
    while (c !== COMMA && at > least);
    const tail = text.length - at;
    for (let i = 0; i < tail; i++) input[TAIL + i] = text.charCodeAt(at + i);
    if (any > 127) return false;
    const seen = this.#wasm.glance(slot.handle, conn, Math.min(head + 1, limit), tail);
    const result = seen & 7;
    if (result === 0) return false;
    const kind = seen >> 5;
    const alike = (seen >> 3) & 3;
    if (alike !== 0) this.#remember(slot, kind, text.slice(0, head + 1), alike === NUMBERED);
    if (result !== UNOBSERVED) this.#glanced(slot, kind === 0 || result === EVENT ? "" : this.#name(slot, kind), text, head, result === PAYLOAD ? at : text.length - 1);
    return true;
  }

  /** Hands over an event whose payload is text.slice(from, to), or, without a name, one that is to be read as a whole. */
  #glanced(slot: Slot, name: string, text: string, from: number, to: number): void {
    slot.busy = true;
    if (name === "" || hasBigInt(text, from, to)) this.#sink.report(slot.id, exact(text));
    else this.#sink.event(slot.id, name, text, from, to);
    slot.busy = false;
    if (slot.again) this.#pump(slot);
  }

  /**
   * #glance for a message that begins like one before: comparing the two takes half
   * as long as showing Go what it begins with. If Go has left its gate open, it is not
   * even called.
   */
  #again(slot: Slot, conn: number, text: string): boolean {
    if (text.length < SHORTEST) return false;
    const head = slot.heads[place(text)];
    if (head === undefined || !text.startsWith(head.before)) return false;
    const { before, behind } = head;
    let seq = 0;
    let from = before.length;
    let to = text.length - 1;
    let c: number;
    if (behind === "") {
      // The number comes last.
      if (text.charCodeAt(to) !== CLOSING) return false;
      let scale = 1;
      for (; scale < MAX_NUMBER && (c = text.charCodeAt(to - 1) - ZERO) >= 0 && c <= 9; scale *= 10) {
        seq += c * scale;
        to--;
      }
      if (scale === 1 || !text.startsWith(NUMBER_KEY, (to -= NUMBER_KEY.length))) return false;
      from--;
    } else {
      const first = from;
      while (seq < MAX_NUMBER && (c = text.charCodeAt(from) - ZERO) >= 0 && c <= 9) {
        seq = seq * 10 + c;
        from++;
      }
      if (from === first || !text.startsWith(behind, from)) return false;
      from += behind.length - 1;
    }
    const memory = this.#memory;
    const core = slot.core;
    let { result } = head;
    if (result !== 0 && memory[core + GATE] === conn && seq > memory[core + PASSED]! && seq <= MAX_PASSED) {
      // It passes by itself, as session.Again allows: a call of Go takes longer than all the rest of this.
      memory[core + PASSED] = seq;
      const { count } = head;
      if ((memory[count] = (memory[count]! + 1) | 0) === 0) memory[count + 1]!++;
    } else {
      head.result = result = this.#wasm.again(slot.handle, conn, head.kind, seq);
      if (result === 0) return false;
      if (memory.length === 0) this.#view();
    }
    if (result !== UNOBSERVED) this.#glanced(slot, head.name, text, from, to);
    return true;
  }

  /**
   * Notes how messages of a kind begin. Where another kind has the place, it mostly
   * keeps it: two that come in turns would pay more for that than they gain.
   */
  #remember(slot: Slot, kind: number, begin: string, numbered: boolean): void {
    const at = place(begin);
    const there = slot.heads[at];
    if (there !== undefined && ++there.contests < CONTESTS) return;
    const copy = String.fromCharCode(...Array.from(begin, (c) => c.charCodeAt(0))); // a slice would keep all of the message
    const [, before = "", behind = ""] = (numbered ? /^(.*?,"s":)\d+(.*)$/ : /^(.*)$/).exec(copy) ?? [];
    if (before === "") return;
    slot.heads[at] = { kind, name: this.#name(slot, kind), count: this.#wasm.countAddress(slot.handle, kind) >>> 2, result: 0, before, behind, contests: 0 };
  }

  #name(slot: Slot, kind: number): string {
    return (slot.names[kind] ??= this.#go.kind(slot.handle, kind));
  }

  /**
   * Takes the outputs of a slot until there are none, beginning with the one in
   * the record if its kind is given, and sets the timer. Observers may call
   * back into the core meanwhile; what that leads to is taken here, too, so
   * that everything keeps its order.
   */
  #pump(slot: Slot, kind = 0, frame?: string | ArrayBuffer): void {
    if (slot.busy) {
      slot.again = true;
      return;
    }
    slot.busy = true;
    let rearm = false;
    let more = true;
    do {
      slot.again = false;
      kind ||= this.#wasm.next(slot.handle);
      while (kind !== 0 && kind !== REARM) {
        if (this.#words.length === 0) this.#view();
        more = this.#words[MORE] !== 0;
        rearm ||= kind === ACK;
        this.#output(slot, kind, frame);
        if (!this.#alive || slot.state === "closed") {
          slot.busy = false;
          return;
        }
        kind = more || slot.again ? this.#wasm.next(slot.handle) : 0;
      }
      kind = 0;
    } while (slot.again);
    slot.busy = false;
    this.#arm(slot, rearm);
  }

  #output(slot: Slot, kind: number, frame: string | ArrayBuffer | undefined): void {
    const w = this.#words;
    const at = w[DATA]! >>> 0,
      size = w[SIZE]!;
    switch (kind) {
      case DISPATCH:
        this.#dispatch(slot, frame);
        break;
      case DIAL:
        this.#dial(slot, w[CONN]!, this.#text(at, size));
        break;
      case WRITE:
        slot.bytesSent += size;
        try {
          // slice: the socket must not see memory that Go goes on to use.
          slot.socket?.send(w[BINARY] ? this.#bytes.slice(at, at + size) : this.#text(at, size));
        } catch {
          // A socket that is closing: its close is on the way.
        }
        break;
      case CLOSE:
        this.#hangUp(slot, w[CODE]!);
        break;
      case STATE: {
        const state = JSON.parse(this.#text(at, size)) as StateReport;
        slot.state = state.state;
        if (state.retryAt !== undefined) state.retryAt = this.#epoch(state.retryAt);
        if (state.state === "closed") this.#forget(slot);
        this.#sink.report(slot.id, { ...state, type: "state" });
        break;
      }
      case ERROR:
        this.#sink.report(slot.id, { type: "error", error: JSON.parse(this.#text(at, size)) as ErrorInfo });
        break;
      case GAP: {
        const gap = JSON.parse(this.#text(at, size)) as GapInfo;
        gap.disconnectedAt = this.#epoch(gap.disconnectedAt);
        gap.reconnectedAt = this.#epoch(gap.reconnectedAt);
        this.#noteLost(slot);
        this.#sink.report(slot.id, { type: "gap", gap });
        break;
      }
      case SENT: {
        const id = w[ID]!;
        const req = slot.sends.get(id);
        const error = size ? (JSON.parse(this.#text(at, size)) as ErrorInfo) : undefined;
        if (req === undefined) break;
        slot.sends.delete(id);
        this.#sink.report(slot.id, error ? { type: "sent", req, error } : { type: "sent", req });
        break;
      }
      case SESSION:
        slot.session = this.#go.snapshot(slot.handle);
        this.#noteLost(slot);
        this.#sink.report(slot.id, { type: "session", session: slot.session });
        break;
      case ACK:
        this.#sink.report(slot.id, { type: "latency", latency: this.#doubles[NUMBER]!, seq: this.#seq(slot) });
        break;
    }
  }

  /** Hands over the event that the record tells of. */
  #dispatch(slot: Slot, frame: string | ArrayBuffer | undefined): void {
    const w = this.#words;
    const at = w[DATA]! >>> 0,
      size = w[SIZE]!,
      kind = w[KIND]!,
      from = w[FROM];
    const text = from === FROM_FRAME && typeof frame === "string" ? frame : this.#text(at, size);
    if (from !== FROM_ETF && hasBigIntBytes(this.#bytes, at, at + size)) this.#sink.report(slot.id, exact(text));
    else if (kind === 0) this.#sink.report(slot.id, text);
    else this.#sink.event(slot.id, this.#name(slot, kind), text, w[HEAD]!, text.length - w[BEHIND]!);
  }

  /**
   * The number up to which a session has handed its events over. It is read
   * from memory, so that it can be had of an instance that has crashed.
   */
  #seq(slot: Slot): number {
    const core = new DataView(this.#wasm.mem.buffer, slot.core * 4);
    return core.getInt32(GATE * 4, true) === 0 ? core.getFloat64(0, true) : core.getInt32(PASSED * 4, true);
  }

  /** Notes what another instance would have to report of a session that is gone. */
  #noteLost(slot: Slot): void {
    const l = this.#go.lost(slot.handle);
    if (!l && !slot.lost) return;
    slot.lost = l && { reason: tidy(l), lastSeq: l.lastSeq, disconnectedAt: this.#epoch(l.disconnectedAt), standing: l.standing };
    this.#sink.report(slot.id, { type: "lost", lost: slot.lost });
  }

  #forget(slot: Slot): void {
    clearTimeout(slot.timer);
    this.#slots.delete(slot.id);
    slot.core = 0; // nothing more may pass there
    this.#go.release(slot.handle);
  }

  #dial(slot: Slot, conn: number, url: string): void {
    let socket: WebSocket;
    try {
      socket = new WebSocket(url);
    } catch (thrown) {
      queueMicrotask(() => this.#guard(() => this.#closed(slot, conn, 1006, "", describe(thrown))));
      return;
    }
    slot.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () =>
      this.#guard(() => {
        this.#wasm.opened(slot.handle, conn, this.#clock());
        this.#pump(slot);
      });
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (!this.#alive) return;
      try {
        this.#received(slot, conn, event.data);
      } catch (thrown) {
        this.#trapped(thrown);
      }
      if (!this.#alive) this.#crash();
    };
    socket.onclose = (event) => {
      this.#hangUp(slot, 0);
      const cause = event.code === 1006 && slot.state === "dialing" ? "the browser could not open the connection and does not tell pages why" : "";
      this.#guard(() => this.#closed(slot, conn, event.code, event.reason, cause));
    };
  }

  #closed(slot: Slot, conn: number, code: number, reason: string, cause: string): void {
    const first = this.#putText(reason);
    const second = this.#putText(cause, first);
    this.#wasm.closed(slot.handle, conn, code, first, second - first, this.#clock());
    this.#pump(slot);
  }

  /**
   * Lets the socket go: nothing of it is heard any more, and it closes in its
   * own time, which can be a minute.
   */
  #hangUp(slot: Slot, code: number): void {
    const socket = slot.socket;
    if (!socket) return;
    slot.socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (code === 0) return;
    try {
      socket.close(code);
    } catch {
      socket.close();
    }
  }

  /**
   * Sets the timer to the session's deadline. With `anew` a timer is set again
   * even if its time has not changed: browsers hold back the timers of hidden
   * pages that were set by timers, but not those set where a message arrived.
   */
  #arm(slot: Slot, anew: boolean): void {
    const at = this.#wasm.deadline(slot.handle);
    if (at === slot.armed && !anew) return;
    clearTimeout(slot.timer);
    slot.armed = at;
    if (at < 0) return;
    slot.timer = setTimeout(
      () =>
        this.#guard(() => {
          slot.armed = -1;
          this.#noticeSleep();
          this.#wasm.tick(slot.handle, this.#clock());
          this.#pump(slot);
        }),
      Math.min(Math.max(0, Math.ceil(at - this.#clock())), 2 ** 31 - 1),
    );
  }

  /** Runs what calls into wasm, and sees to it if that crashes. */
  #guard(run: () => void): void {
    if (!this.#alive) return;
    try {
      run();
    } catch (thrown) {
      this.#trapped(thrown);
    }
    if (!this.#alive) this.#crash();
  }

  #trapped(thrown: unknown): void {
    this.#alive = false;
    this.#printed ||= describe(thrown);
  }

  /**
   * The instance is gone; its memory is still there to read the numbers from.
   * A new one takes the sessions up.
   */
  #crash(): void {
    const receiving = this.#receiving;
    this.#receiving = null;
    if (this.#booting) return; // an observer has called what crashed, and that has been seen to
    this.#booting = true;
    const now = performance.now();
    this.#crashed++;
    this.#crashes = this.#crashes.filter((at) => at > now - CRASH_WINDOW);
    this.#crashes.push(now);
    const fatal = this.#crashes.length > CRASH_LIMIT;
    const error: ErrorInfo = {
      code: "core_crashed",
      message: `the WebAssembly core crashed (${this.#printed}); ${fatal ? "too often to go on" : "a new one continues the session"}`,
      fatal,
    };
    for (const slot of [...this.#slots.values()]) {
      clearTimeout(slot.timer);
      this.#hangUp(slot, KEEP);
      slot.busy = slot.again = false;
      slot.armed = -1;
      if (slot.session && slot.core) {
        let seq = this.#seq(slot);
        if (slot === receiving) {
          // A message that crashes the core twice must not do so for ever.
          if (this.#poison.id === slot.id && this.#poison.seq === seq) seq++;
          else this.#poison = { id: slot.id, seq };
        }
        slot.session = { ...slot.session, seq };
      } else if (slot.state === "ready" && slot.lost) {
        // A session that nobody can resume goes only now.
        slot.lost = { ...slot.lost, lastSeq: this.#seq(slot), disconnectedAt: Date.now() };
      }
      slot.core = slot.handle = 0;
      if (fatal) {
        this.#end(slot, error);
        continue;
      }
      for (const req of slot.sends.values()) {
        this.#sink.report(slot.id, { type: "sent", req, error: { code: "disconnected", message: "the core was restarted before the message was sent" } });
      }
      slot.sends.clear();
      slot.state = "backoff";
      this.#sink.report(slot.id, { type: "error", error });
      this.#sink.report(slot.id, { type: "state", state: "backoff", error });
    }
    this.#restart([...this.#slots.values()]);
  }

  /** Starts an instance anew and takes up the slots in it. If there can be none, everything ends. */
  #restart(slots: Slot[]): void {
    this.#booting = true;
    void this.#boot().then(
      () => {
        this.#booting = false;
        for (const slot of slots) if (this.#slots.has(slot.id)) this.#guard(() => this.#begin(slot));
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const command of waiting) this.post(command);
      },
      (thrown: unknown) => {
        this.#booting = this.#alive = false;
        const error: ErrorInfo = { code: "core_crashed", message: `the WebAssembly core crashed and could not be started again: ${describe(thrown)}`, fatal: true };
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const slot of slots) if (this.#slots.has(slot.id)) this.#end(slot, error);
        for (const command of waiting) if (command.type === "open") this.#ended(command.id, error);
      },
    );
  }
}

/**
 * Where the head of a message is remembered: letters of the name of its event, which
 * stands in one of two places, tell it from others, most of the time.
 */
function place(text: string): number {
  const name = text.charCodeAt(2) === 116 ? 6 : 13;
  return (text.charCodeAt(name + 6) * 7 + text.charCodeAt(name + 8) * 5 + text.charCodeAt(name + 11) * 3 + text.charCodeAt(name + 13)) % PLACES;
}

/** Bytes of a frame from which on Go refuses it, whatever follows: of what is too large no more is copied. */
const refusedAt = (slot: Slot) => Math.max(slot.most, LEAST_FRAME) + 1;

/** Has Go asked again whether kinds are observed. */
function forgetResults(slot: Slot): void {
  for (const head of slot.heads) if (head) head.result = 0;
}

function tidy(f: Failure): ErrorInfo {
  return { code: f.code, message: f.message, closeCode: f.closeCode, fatal: f.fatal };
}
