// web/src/core.ts, the browser's driver, with the real WebAssembly in virtual time:
// the clock, the timers, the WebSocket and the server behind it are made up, and a
// seed decides what goes wrong and when. test/simulation does the same for the
// session alone, and at greater length.
//
//   ./build.sh wasm
//   node --test test/node/core.test.mjs
//   SEEDS=1000 node --test test/node/core.test.mjs
//   SEED=17 node --test test/node/core.test.mjs      one seed, with its trace

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { random } from "./random.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const built = `${root}build/test/core.mjs`;
if (existsSync(`${root}build/bin/esbuild`)) {
  mkdirSync(`${root}build/test`, { recursive: true });
  execFileSync(`${root}build/bin/esbuild`, ["web/src/core.ts", "--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--alias:wasm_exec=./build/wasm_exec.mjs", "--alias:base=./web/src/base.module.ts", `--outfile=${built}`], { cwd: root });
}
const { Core } = await import(built);
const wasm = await WebAssembly.compile(readFileSync(`${root}web/dist/gateway.wasm`));

const SECOND = 1000;
const MINUTE = 60_000;
const EPOCH = Date.UTC(2026, 0, 1);
const BEGIN = 1_000_000; // of every world, after EPOCH

/** What core.ts takes from the global object, made up. */
class World {
  now = BEGIN;
  origin = 0; // what performance.now() counts from
  slept = 0; // what only the wall clock has seen
  throttle = 0; // timers of a hidden page fire at multiples of this only
  trace = [];
  #happenings = [];
  #last = 0;

  constructor(seed) {
    this.random = random(seed);
  }

  below(n) {
    return Math.floor(this.random() * n);
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  soon(mean) {
    return -Math.log(1 - this.random()) * mean;
  }
  log(text) {
    this.trace.push(`${((this.now - BEGIN) / SECOND).toFixed(3).padStart(12)}  ${text}`);
  }

  after(ms, run, timer = false) {
    const h = { at: this.now + Math.max(0, ms), id: ++this.#last, run, timer };
    this.#happenings.push(h);
    return h.id;
  }
  cancel(id) {
    const i = this.#happenings.findIndex((h) => h.id === id);
    if (i >= 0) this.#happenings.splice(i, 1);
  }
  get timers() {
    return this.#happenings.filter((h) => h.timer).length;
  }

  /** Lets time pass. Between two happenings the instance may have to be made anew, which is truly asynchronous. */
  async run(ms, settle) {
    const end = this.now + ms;
    for (;;) {
      let next = null;
      let due = end;
      for (const h of this.#happenings) {
        const at = h.timer && this.throttle ? Math.ceil(h.at / this.throttle) * this.throttle : h.at;
        if (at < due || (at === due && (next === null || h.id < next.id))) {
          due = at;
          next = h;
        }
      }
      this.now = Math.max(this.now, due);
      if (!next) return;
      this.cancel(next.id);
      next.run();
      await settle();
    }
  }
}

/** The ways in which servers write events. */
const FORMS = [
  (t, s, d) => `{"op":0,"t":"${t}","d":${d},"s":${s}}`,
  (t, s, d) => `{"t":"${t}","s":${s},"op":0,"d":${d}}`,
  (t, s, d) => `{"t":"${t}","op":0,"d":${d},"s":${s}}`,
  (t, s, d) => `{"op":0,"t":"${t}","s":${s},"d":${d}}`,
];

/** A server of the documented protocol, with a bad network before it. */
class Server {
  sessions = new Map();
  sockets = new Set();
  offline = false;
  refuse = 0; // of the next dials
  hang = 0;
  throws = 0;
  noACK = false;
  ignoreResume = 0;
  nameless = 0; // of the next sessions, which no client can resume
  delay = 50;
  #last = 0;
  n = 0;

  constructor(world) {
    this.world = world;
  }

  newSession() {
    const s = { id: `s${++this.#last}`, seq: 0, history: [], sent: [], socket: null };
    this.sessions.set(s.id, s);
    return s;
  }

  /** Sends an event that is counted to every session. */
  dispatch() {
    const n = ++this.n;
    for (const s of this.sessions.values()) {
      s.sent.push(n);
      this.event(s, "N", { to: s.id, n, pad: "x".repeat(this.world.below(150)), odd: this.world.below(9) === 0 ? "é" : "e" });
    }
  }

  event(s, t, d) {
    const msg = this.world.pick(FORMS)(t, ++s.seq, JSON.stringify(d));
    s.history.push([s.seq, msg]);
    s.socket?.down(msg);
  }

  received(socket, text) {
    const { op, d } = JSON.parse(text);
    switch (op) {
      case 1:
        if (!this.noACK) socket.down('{"op":11}');
        break;
      case 2: {
        const s = this.newSession();
        if (socket.session) socket.session.socket = null; // what it was given before is over
        s.socket = socket;
        s.who = d.who;
        socket.session = s;
        const nameless = this.nameless > 0 && this.nameless--;
        this.event(s, "READY", { ...(!nameless && { session_id: s.id }), resume_gateway_url: "ws://resume.test/", who: d.who });
        break;
      }
      case 6: {
        const s = this.sessions.get(d.session_id);
        if (this.ignoreResume > 0 && this.ignoreResume--) break;
        if (!s) {
          socket.down('{"op":9,"d":false}');
          break;
        }
        s.socket?.cut(4000);
        s.socket = socket;
        socket.session = s;
        for (const [seq, msg] of s.history) if (seq > d.seq && !msg.includes('"t":"READY"')) socket.down(msg);
        this.event(s, "RESUMED", {});
        break;
      }
    }
  }

  all(run) {
    for (const socket of [...this.sockets]) run(socket);
  }
}

/** The WebSocket of a made-up browser. */
function makeWebSocket(world, server, sockets) {
  return class WebSocket {
    onopen = null;
    onmessage = null;
    onclose = null;
    binaryType = "blob";
    session = null;
    #state = 0; // connecting, open, closed
    #gone = false; // for the server
    #frozen = false;
    #down = 0; // when the last message arrives

    constructor(url) {
      assert.match(url, /^ws:\/\/(main|resume)\.test\/\?v=9&encoding=json$/);
      if (server.throws > 0 && server.throws--) throw new DOMException("no sockets left", "SecurityError");
      world.log(`dials ${url}`);
      sockets.add(this);
      server.sockets.add(this);
      if (server.hang > 0 && server.hang--) return;
      const refused = server.offline || (server.refuse > 0 && server.refuse--);
      world.after(server.delay * world.random(), () => {
        if (this.#gone) return;
        if (refused || server.offline) return this.cut(1006);
        this.#state = 1;
        this.onopen?.({});
        this.down('{"op":10,"d":{"heartbeat_interval":' + world.pick([5000, 20000, 41250]) + "}}");
      });
    }

    /** Whether the client holds it. */
    get held() {
      return this.#state < 2;
    }

    down(text) {
      const at = Math.max(world.now + server.delay * world.random(), this.#down);
      this.#down = at;
      world.after(at - world.now, () => {
        if (this.#state === 1 && !this.#frozen && !this.#gone) this.onmessage?.({ data: text });
      });
    }

    /** The connection ends by itself. */
    cut(code, reason = "") {
      if (this.#gone) return;
      this.#left();
      world.after(server.delay * world.random(), () => {
        if (this.#state === 2) return;
        this.#state = 2;
        sockets.delete(this);
        this.onclose?.({ code, reason });
      });
    }

    /** Half-open: nothing arrives any more, and nobody says so. */
    freeze() {
      this.#frozen = true;
      this.#left();
    }

    #left() {
      this.#gone = true;
      server.sockets.delete(this);
      if (this.session?.socket === this) this.session.socket = null;
    }

    send(data) {
      assert.equal(this.#state, 1, "sends on a socket that is not open");
      const text = data;
      world.after(server.delay * world.random(), () => {
        if (!this.#gone && !this.#frozen) server.received(this, text);
      });
    }

    close(code) {
      assert.ok(code === 1000 || (code >= 3000 && code < 5000), `closes with ${code}`);
      if (this.#state === 2) return;
      this.#state = 2;
      sockets.delete(this);
      assert.equal(this.onmessage, null, "a closed socket is still heard");
      if (!this.#gone) {
        this.#left();
        if (code === 1000 && this.session) server.sessions.delete(this.session.id);
      }
    }
  };
}

/** One handle of the page, and what must hold of it. */
class Handle {
  state = "idle";
  sessions = 0;
  gaps = 0;
  session = null;
  lost = null;
  got = new Map();
  pending = new Set();
  last = 0;
  closed = false;

  constructor(id, world, server, core) {
    Object.assign(this, { id, world, server, core });
  }

  open() {
    const { id } = this;
    this.core.post({
      type: "open",
      id,
      config: { url: "ws://main.test/", identify: `{"token":"t","who":${id}}`, version: 9, transports: "json", maxMessageSize: 15360, maxReceiveSize: 1 << 26, queueSize: 20, attempts: -1, session: this.session },
      lost: this.lost,
      observe: ["N", "READY"],
    });
  }

  /** The core is gone, and another is to go on, as far as connection.ts sees it. */
  interrupt() {
    const seq = this.core.seq(this.id);
    if (this.session) this.session = { ...this.session, seq };
    else if (this.state === "ready") this.lost = { ...this.lost, lastSeq: seq, disconnectedAt: Date.now() };
    this.state = "backoff";
    this.pending.clear();
  }

  event(name, d) {
    assert.ok(!this.closed, "an event after the end");
    if (name === "READY") assert.equal(d.who, this.id, "another handle's READY");
    if (name !== "N") return;
    const s = this.server.sessions.get(d.to) ?? this.server.forgotten.get(d.to);
    const i = this.got.get(d.to) ?? 0;
    if (s.sent[i] !== d.n) throw new Error(`event ${d.n} of ${d.to} was delivered where ${s.sent[i]} was due`);
    this.got.set(d.to, i + 1);
  }

  report(r) {
    switch (r.type) {
      case "state":
        this.world.log(`handle ${this.id} is ${r.state}${r.resumed ? ", resumed" : ""}${r.error ? `: ${r.error.message}` : ""}`);
        assert.ok(!this.closed, "a state after the end");
        this.state = r.state;
        if (r.state === "ready" && !r.resumed) {
          this.sessions++;
        }
        if (r.state === "closed") {
          this.closed = true;
          assert.equal(r.error, undefined, "ended by itself");
        }
        break;
      case "gap":
        assert.ok(!this.closed, "a gap after the end");
        this.gaps++;
        assert.ok(r.gap.sessionLost && EPOCH + BEGIN < r.gap.disconnectedAt && r.gap.disconnectedAt <= r.gap.reconnectedAt, `a gap from ${r.gap.disconnectedAt} to ${r.gap.reconnectedAt}`);
        break;
      case "lost":
        this.lost = r.lost;
        break;
      case "session":
        this.session = r.session;
        break;
      case "sent":
        assert.ok(this.pending.delete(r.req), "a send is settled twice");
        break;
    }
  }

  send() {
    const req = ++this.last;
    this.pending.add(req);
    this.core.post({ type: "send", id: this.id, req, op: this.world.pick([3, 8]), payload: '{"x":1}' });
    return req;
  }
}

async function live(seed) {
  const world = new World(seed);
  const server = new Server(world);
  server.forgotten = new Map();
  const sockets = new Set();
  const faults = {};
  const real = {};
  const fake = {
    performance: { now: () => world.now - world.origin },
    setTimeout: (run, ms) => world.after(ms, run, true),
    clearTimeout: (id) => id !== undefined && world.cancel(id),
    crypto: {
      getRandomValues: (list) => {
        for (let i = 0; i < list.length; i++) list[i] = world.random() * 2 ** 32;
        return list;
      },
    },
    WebSocket: makeWebSocket(world, server, sockets),
  };
  const dateNow = Date.now;
  for (const name of Object.keys(fake)) {
    real[name] = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value: fake[name], configurable: true, writable: true });
  }
  Date.now = () => EPOCH + world.now + world.slept;
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  try {
    const handles = new Map();
    let inspection;
    let booting = false;
    let killing;
    const sink = {
      report(id, r) {
        if (typeof r === "string") {
          const m = JSON.parse(r);
          handles.get(id).event(m.t, m.d);
        } else if (r.type === "inspection") inspection = r;
        else {
          if (r.type === "error" && r.error.code === "core_crashed") booting = true;
          handles.get(id)?.report(r);
        }
      },
      event(id, name, text, from, to) {
        handles.get(id).event(name, JSON.parse(text.slice(from, to)));
      },
    };
    let core = new Core(sink);
    await core.load(wasm);
    // What happens to a Worker: all of it is gone, and the next has another clock.
    const kill = async () => {
      for (const h of handles.values()) h.interrupt();
      core.terminate();
      world.origin = world.now - world.below(10) * SECOND;
      core = new Core(sink);
      await core.load(wasm);
      for (const h of handles.values()) {
        h.core = core;
        h.open();
      }
    };
    const inspect = () => {
      inspection = undefined;
      core.post({ type: "inspect" });
      return inspection;
    };
    // Go lets go of JavaScript's values when its garbage collector comes to them.
    const rest = async () => {
      let last = inspect();
      for (let same = 0; same < 5; ) {
        await turn();
        const next = inspect();
        same = next.values === last.values ? same + 1 : 0;
        last = next;
      }
      return last;
    };
    const before = await rest();
    for (const id of [1, 2]) {
      const h = new Handle(id, world, server, core);
      handles.set(id, h);
      h.open();
    }

    let calm = false;
    const settle = async () => {
      await killing;
      killing = undefined;
      if (booting) {
        booting = false;
        // Instantiating is no timer: it takes as many turns as it takes.
        for (let i = 0; i < 1000 && inspect() === undefined; i++) await turn();
      } else await null;
      assert.ok(sockets.size <= handles.size, `${sockets.size} sockets for ${handles.size} handles`);
    };
    const forget = (s) => {
      server.forgotten.set(s.id, s);
      server.sessions.delete(s.id);
    };
    const fault = () => {
      const [name, run] = world.pick([
        ["drop", () => server.all((s) => s.cut(1006))],
        ["close", () => server.all((s) => s.cut(world.pick([1000, 1001, 1011, 4000, 4003, 4007, 4008, 4009, 4321]), "\u0007bad"))],
        ["half-open", () => server.all((s) => s.freeze())],
        ["op 7", () => server.all((s) => s.down('{"op":7}'))],
        ["op 7 with a delay", () => server.all((s) => (s.down(`{"op":7,"d":${world.below(5000)}}`), world.after(5000, () => s.cut(1000))))],
        ["op 9 false", () => server.all((s) => (s.session && forget(s.session), s.down('{"op":9,"d":false}')))],
        ["op 9 true", () => server.all((s) => s.down('{"op":9,"d":true}'))],
        ["restart", () => ([...server.sessions.values()].forEach(forget), server.all((s) => s.cut(1006)))],
        ["op 1", () => server.all((s) => { for (let i = world.below(200); i >= 0; i--) s.down('{"op":1,"d":null}'); })],
        ["garbage", () => server.all((s) => s.down(world.pick(["{bad", "[]", "", '{"op":99}', '{"op":11}', '{"op":0,"t":"X","d":{"x":}}'])))],
        ["flood", () => { for (let i = 0; i < 50; i++) server.dispatch(); }],
        ["no ACKs", () => ((server.noACK = true), world.after(world.soon(MINUTE), () => (server.noACK = false)))],
        ["offline", () => ((server.offline = true), server.all((s) => (world.below(2) ? s.freeze() : s.cut(1006))), world.after(world.soon(MINUTE), () => ((server.offline = false), core.post({ type: "wake" }))))],
        ["refused dials", () => ((server.refuse = 1 + world.below(3)), server.all((s) => s.cut(1006)))],
        ["dials that hang", () => ((server.hang = 1), server.all((s) => s.cut(1006)))],
        ["dials that throw", () => ((server.throws = 1), server.all((s) => s.cut(1006)))],
        ["resumes ignored", () => ((server.ignoreResume = 1 + world.below(3)), server.all((s) => s.cut(1006)))],
        ["sessions without an id", () => ((server.nameless = 1 + world.below(3)), [...server.sessions.values()].forEach(forget), server.all((s) => s.cut(1006)))],
        ["slow network", () => ((server.delay = 3000), world.after(world.soon(MINUTE), () => (server.delay = 50)))],
        ["timers held back", () => ((world.throttle = MINUTE), world.after(world.soon(5 * MINUTE), () => (world.throttle = 0)))],
        ["sleep", () => { world.slept += world.soon(3 * 60 * MINUTE); server.all((s) => s.freeze()); if (world.below(2)) core.post({ type: "wake" }); }],
        ["wake", () => core.post({ type: "wake" })],
        ["kill", () => (killing = kill())],
        ["crash", () => world.now - crashed > 2 * MINUTE && ((crashed = world.now), core.post({ type: "crash" }))],
      ]);
      world.log(`fault: ${name}`);
      faults[name] = (faults[name] ?? 0) + 1;
      run();
    };
    let crashed = 0;
    const user = () => {
      const h = world.pick([...handles.values()]);
      world.pick([
        () => h.send(),
        () => { for (let i = world.below(150); i >= 0; i--) h.send(); },
        () => core.post({ type: "cancel", id: h.id, req: h.send() }),
        () => { core.post({ type: "observe", id: h.id, name: "X" }); core.post({ type: "unobserve", id: h.id, name: "X" }); },
      ])();
    };
    const repeat = (mean, run) => world.after(world.soon(mean), () => { if (!calm) { run(); repeat(mean, run); } });
    repeat(3 * SECOND, () => server.dispatch());
    repeat(20 * SECOND, fault);
    repeat(20 * SECOND, user);
    await world.run((5 + world.below(20)) * MINUTE, settle);

    calm = true;
    if (world.below(4) > 0) {
      world.log("peace");
      Object.assign(server, { offline: false, refuse: 0, hang: 0, throws: 0, noACK: false, ignoreResume: 0, nameless: 0, delay: 50 });
      world.throttle = 0;
      await world.run(8 * MINUTE, settle);
      for (let i = 0; i < 5; i++) server.dispatch();
      await world.run(10 * SECOND, settle);
      for (const h of handles.values()) {
        assert.equal(h.state, "ready", `handle ${h.id} in a healthy world`);
        const s = [...server.sessions.values()].findLast((s) => s.who === h.id);
        if (h.session) assert.equal(h.session.id, s.id);
        assert.equal(h.got.get(s.id), s.sent.length, `events of ${s.id} that handle ${h.id} was given`);
        assert.equal(h.gaps, h.sessions - 1, `gaps of handle ${h.id}`);
        assert.equal(h.pending.size, 0, "sends that wait");
      }
      assert.equal(sockets.size, handles.size, "sockets");
    }

    world.log("the end");
    for (const h of handles.values()) core.post({ type: "close", id: h.id, keep: world.below(2) === 0 });
    for (const h of handles.values()) {
      assert.equal(h.state, "closed");
      h.send();
    }
    server.dispatch();
    await world.run(10 * MINUTE, settle);
    for (const h of handles.values()) assert.equal(h.pending.size, 0, "sends that never settle");
    assert.equal(sockets.size, 0, "sockets that are left");
    assert.equal(world.timers, 0, "timers that are left");
    const after = await rest();
    assert.equal(after.slots, 0);
    assert.equal(after.cores, 0);
    assert.ok(after.values <= before.values, `Go holds ${after.values} values, ${before.values} at first`);
    return { trace: world.trace, faults, elapsed: world.now + world.slept - BEGIN };
  } catch (thrown) {
    thrown.message = `seed ${seed}: ${thrown.message}\n${world.trace.slice(-40).join("\n")}`;
    throw thrown;
  } finally {
    for (const [name, descriptor] of Object.entries(real)) descriptor ? Object.defineProperty(globalThis, name, descriptor) : delete globalThis[name];
    Date.now = dateNow;
  }
}

const total = { seeds: 0, faults: {}, elapsed: 0 };

test("the browser's driver lives through trouble", async (t) => {
  const one = process.env.SEED;
  if (one !== undefined) {
    const { trace } = await live(Number(one));
    console.log(trace.join("\n"));
    return;
  }
  for (let seed = 0; seed < Number(process.env.SEEDS ?? 60); seed++) {
    const { faults, elapsed } = await live(seed);
    total.seeds++;
    total.elapsed += elapsed;
    for (const [name, n] of Object.entries(faults)) total.faults[name] = (total.faults[name] ?? 0) + n;
  }
  t.diagnostic(`${total.seeds} seeds, ${(total.elapsed / 3_600_000).toFixed(0)} virtual hours, ${JSON.stringify(total.faults)}`);
});

test("a seed always gives the same life", async () => {
  for (const seed of [1, 2]) assert.deepEqual((await live(seed)).trace, (await live(seed)).trace);
});

/** Runs a test with one handle that is ready, and a socket that takes what it is given. */
async function withHandle(observe, run, options = {}) {
  const h = { got: [], stats: null, sent: [], dials: 0, reports: [], on() {} };
  const core = new Core({
    report: (id, r) => {
      if (typeof r === "string") h.got.push(JSON.parse(r));
      else h.reports.push({ id, ...r });
      if (r.type === "stats") h.stats = r.stats;
      h.on(r);
    },
    event: (id, t, text, from, to) => {
      h.got.push({ t, d: JSON.parse(text.slice(from, to)) });
      h.on({ type: "event", t });
    },
  });
  await core.load(wasm);
  const real = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  let socket;
  globalThis.WebSocket = class {
    constructor() {
      socket = this;
      h.dials++;
    }
    send(text) {
      h.sent.push(text);
    }
    close() {}
  };
  h.inspect = () => {
    core.post({ type: "inspect" });
    return h.reports.findLast((r) => r.type === "inspection");
  };
  h.down = (data) => socket.onmessage({ data });
  h.open = () => {
    socket.onopen({});
    h.down('{"op":10,"d":{"heartbeat_interval":41250}}');
  };
  try {
    const config = { url: "ws://main.test/", identify: '{"token":"t"}', version: 9, transports: "json", maxMessageSize: 4096, maxReceiveSize: 1 << 20, queueSize: 10, attempts: 1, session: null, ...options };
    h.config = config;
    core.post({ type: "open", id: 1, config, lost: null, observe: ["READY", ...observe] });
    h.open();
    h.down(FORMS[0]("READY", 1, '{"session_id":"abc"}'));
    assert.equal(h.got.splice(0).length, 1);
    await run(core, h);
  } finally {
    core.terminate();
    if (real) Object.defineProperty(globalThis, "WebSocket", real);
    else delete globalThis.WebSocket;
  }
}

test("events that begin like others are read as JSON.parse reads them", () =>
  withHandle(["MESSAGE_CREATE", "GUILD_MEMBER_ADD", "TYPING_START"], (core, h) => {
    const { down, got } = h;
    const draw = random(7);
    const pick = (list) => list[Math.floor(draw() * list.length)];
    const counts = { READY: 1, MESSAGE_CREATE: 0, MESSAGE_DELETE: 0 };
    let seq = 1;
    const want = [];
    for (let i = 0; i < 4000; i++) {
      // Names that share a place among the heads, and observed ones among others.
      const t = pick(["MESSAGE_CREATE", "MESSAGE_DELETE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE", "TYPING_START"]);
      const d = pick([{}, { id: i }, { s: 7, "s\"": ',"s":8}' }, { content: "x".repeat(draw() * 200), t: "OTHER" }, { content: "Grüße", at: [{ a: [1, "{"] }] }]);
      const text = pick(FORMS)(t, (seq += pick([1, 1, 1, 20])), JSON.stringify(d));
      down(text);
      counts[t] = (counts[t] ?? 0) + 1;
      if (["MESSAGE_CREATE", "GUILD_MEMBER_ADD", "TYPING_START"].includes(t)) want.push({ t, d });
      if (i % 50 === 0) {
        // What only looks like one of them is dropped, or read as it is.
        const before = got.length;
        for (const odd of ['{"op":0,"t":"MESSAGE_CREATE","d":{"a":"01234567890123456789"}}', '{"op":0,"t":"MESSAGE_DELETE","d":{"a":1},"s":}', '{"t":"MESSAGE_DELETE","s":,"op":0,"d":{"a":1}}', '{"t":"MESSAGE_DELETE","s":null,"op":0,"d":{"a":1}}', '{"op":11}']) down(odd);
        counts.MESSAGE_CREATE++;
        counts.MESSAGE_DELETE++;
        assert.deepEqual(got.splice(before).map(({ t, d }) => ({ t, d })), [{ t: "MESSAGE_CREATE", d: { a: "01234567890123456789" } }]);
      }
      assert.equal(core.seq(1), seq, text);
    }
    assert.deepEqual(got.map(({ t, d }) => ({ t, d })), want);
    core.post({ type: "stats", id: 1, req: 1 });
    assert.deepEqual(h.stats.events, counts);
  }));

/** What is called of an instance's exports from now on, by name. */
function countCalls(t) {
  const calls = {};
  const { get } = Object.getOwnPropertyDescriptor(WebAssembly.Instance.prototype, "exports");
  t.mock.getter(WebAssembly.Instance.prototype, "exports", function () {
    const all = { ...get.call(this) };
    for (const name of ["again", "glance", "received"]) {
      const call = all[name];
      all[name] = (...args) => {
        calls[name] = (calls[name] ?? 0) + 1;
        return call(...args);
      };
    }
    return all;
  });
  return calls;
}

for (const [name, form] of FORMS.entries())
  test(`an event like the one before passes without a call of Go (form ${name})`, (t) => {
    const calls = countCalls(t);
    return withHandle(["MESSAGE_CREATE"], async (core, h) => {
      let seq = 1;
      const down = (n, ...names) => {
        h.got.length = 0;
        for (const name in calls) delete calls[name];
        for (let i = 0; i < n; i++) for (const name of names) h.down(form(name, ++seq, `{"i":${i},"content":"some more text"}`));
      };
      const both = ["MESSAGE_CREATE", "TYPING_START"];
      down(3, ...both);
      down(100, ...both);
      assert.equal(h.got.length, 100);
      assert.deepEqual(h.got[99], { t: "MESSAGE_CREATE", d: { i: 99, content: "some more text" } });
      assert.deepEqual(calls, {});
      assert.equal(core.seq(1), seq);

      // Who observes may change at any time.
      core.post({ type: "observe", id: 1, name: "TYPING_START" });
      core.post({ type: "unobserve", id: 1, name: "MESSAGE_CREATE" });
      down(50, ...both);
      assert.deepEqual(new Set(h.got.map(({ t }) => t)), new Set(["TYPING_START"]));
      assert.equal(h.got.length, 50);
      assert.deepEqual(calls, { again: 2 });

      // Numbers that do not rise, or have no room in the gate, are for Go to judge.
      seq -= 3;
      down(3, "TYPING_START");
      assert.deepEqual(calls, { again: 3 });
      seq = 2 ** 31 + 5;
      down(3, "TYPING_START");
      assert.deepEqual(calls, { again: 3 });
      assert.equal(core.seq(1), 2 ** 31 + 8);
      core.post({ type: "stats", id: 1, req: 1 });
      assert.deepEqual(h.stats.events, { READY: 1, MESSAGE_CREATE: 153, TYPING_START: 159 });
    });
  });

test("two kinds that share a place do not drive each other out of it", (t) => {
  const calls = countCalls(t);
  return withHandle([], async (core, h) => {
    let seq = 1;
    for (let i = 0; i < 100; i++) for (const name of ["MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"]) h.down(FORMS[0](name, ++seq, '{"content":"some more text"}'));
    // One of the two is shown to Go each time, or the other is.
    assert.ok(calls.glance >= 90 && calls.glance <= 125, `${calls.glance} glances`);
    core.post({ type: "stats", id: 1, req: 1 });
    assert.deepEqual(h.stats.events, { READY: 1, MESSAGE_REACTION_ADD: 100, MESSAGE_REACTION_REMOVE: 100 });
  });
});

test("what has passed is known to the session, and survives a crash of the instance", () =>
  withHandle([], async (core, h) => {
    let seq = 1;
    const down = (n) => {
      for (let i = 0; i < n; i++) h.down(FORMS[0]("TYPING_START", ++seq, '{"content":"some more text"}'));
    };
    down(20);
    h.down('{"op":1,"d":null}');
    assert.equal(h.sent.at(-1), '{"op":1,"d":21}');
    down(20);
    core.post({ type: "crash" });
    while (h.dials === 1) await new Promise((resolve) => setImmediate(resolve));
    h.open();
    assert.deepEqual(JSON.parse(h.sent.at(-1)).d, { token: "t", session_id: "abc", seq: 41 });
  }));

const MB = 1 << 20;

test("a frame that is too large is refused before it is copied", async () => {
  for (const data of [`{"op":0,"d":"${"x".repeat(50 * MB)}","t":"LARGE","s":3 }`, `{"op":0,"d":"${"\u20ac".repeat(4 * MB)}","t":"LARGE","s":3 }`, new Uint8Array(50 * MB).buffer]) {
    await withHandle([], async (core, h) => {
      const before = h.inspect().memory;
      h.down(data);
      assert.ok(h.reports.some((r) => r.type === "state" && r.error?.code === "received_too_large"), JSON.stringify(h.reports.at(-1)));
      const grown = h.inspect().memory - before;
      assert.ok(grown <= 12 * MB, `the memory has grown by ${grown / MB} MB for a limit of 4 MB`);
    });
  }
});

test("an event that is too large is refused, however plain it is", () =>
  withHandle(["LARGE"], async (core, h) => {
    const event = (s, n) => FORMS[0]("LARGE", s, `{"content":"${"x".repeat(n)}"}`);
    for (let s = 2; s < 6; s++) h.down(event(s, 3000));
    assert.equal(h.got.length, 4);
    h.down(event(6, 5000));
    assert.equal(h.got.length, 4);
    assert.ok(h.reports.some((r) => r.type === "state" && r.error?.code === "received_too_large"), JSON.stringify(h.reports.at(-1)));
  }, { maxReceiveSize: 4096 }));

test("a large text is read in as much memory as it needs, which Go gets back", () =>
  withHandle(["LARGE"], async (core, h) => {
    const before = h.inspect();
    const d = "Grüße ".repeat(4 * MB);
    h.down(`{"op":0,"d":"${d}","t":"LARGE","s":3 }`);
    assert.ok(h.got[0].d === d);
    const { memory, heap } = h.inspect();
    assert.ok(memory - before.memory < 50 * MB, `the memory has grown by ${(memory - before.memory) / MB} MB for a text of 32 MB`);
    assert.ok(heap - before.heap > 30 * MB);
    for (let i = 0; i < 9; i++) h.down(`{"op":0,"d":"x","t":"LARGE","s":${4 + i} }`);
    const after = h.inspect().heap - before.heap;
    assert.ok(after < 4 * MB, `${after / MB} MB are held when small frames follow`);
    h.down(FORMS[0]("LARGE", 20, '"x"'));
    assert.equal(h.got.at(-1).d, "x");
  }, { maxReceiveSize: 64 * MB }));

test("numbers of ETF keep their digits, and floats stay numbers, however large", () =>
  withHandle(["NUMBERS"], async (core, h) => {
    const text = (t) => [109, 0, 0, 0, t.length, ...Buffer.from(t)];
    const map = (o) => [116, 0, 0, 0, Object.keys(o).length, ...Object.entries(o).flatMap(([k, v]) => [...text(k), ...v])];
    const big = (n, sign = 0) => [110, 8, sign, ...new Uint8Array(new BigUint64Array([n]).buffer)];
    const float = (x) => [70, ...new Uint8Array(new Float64Array([x]).buffer).reverse()];
    const d = map({ id: big(1456429976931798888n), below: big(2n ** 53n + 1n, 1), safe: big(2n ** 53n), floats: [108, 0, 0, 0, 3, ...float(1e20), ...float(2 ** 53 + 2), ...float(-1.5), 106], text: text("1456429976931798888") });
    h.down(new Uint8Array([131, ...map({ op: [97, 0], t: text("NUMBERS"), s: [97, 3], d })]).buffer);
    assert.deepEqual(h.got, [{ t: "NUMBERS", d: { id: "1456429976931798888", below: "-9007199254740993", safe: 2 ** 53, floats: [1e20, 2 ** 53 + 2, -1.5], text: "1456429976931798888" } }]);
  }));

test("a crash that an observer calls is one crash", () =>
  withHandle(["CALLS"], async (core, h) => {
    h.on = (r) => {
      if (r.t !== "CALLS") return;
      core.post({ type: "crash" });
      core.post({ type: "observe", id: 1, name: "LATER" });
      core.post({ type: "send", id: 1, req: 5, op: 3, payload: "{}" });
    };
    h.down(FORMS[0]("CALLS", 2, '{"content":"some more text"}'));
    h.on = () => {};
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(h.dials, 2);
    assert.equal(h.reports.filter((r) => r.type === "error" && r.error.code === "core_crashed").length, 1);
    assert.equal(h.reports.find((r) => r.type === "sent").error.code, "not_ready");
    h.open();
    assert.equal(JSON.parse(h.sent.at(-1)).d.seq, 2);
    h.down(FORMS[0]("RESUMED", 3, "{}"));
    h.got.length = 0;
    h.down(FORMS[0]("LATER", 4, '{"content":"some more text"}'));
    assert.deepEqual(h.got.map(({ t }) => t), ["LATER"]);
  }));

test("what is asked of one slot while another is taken up again is done once it is, too", () =>
  withHandle([], async (core, h) => {
    core.post({ type: "open", id: 2, config: h.config, lost: null, observe: [] });
    core.post({ type: "crash" });
    h.on = (r) => {
      if (r.type !== "state" || r.state !== "dialing") return;
      h.on = () => {};
      core.post({ type: "close", id: 2, keep: false });
    };
    while (h.dials < 4) await new Promise((resolve) => setImmediate(resolve));
    const states = h.reports.filter((r) => r.id === 2 && r.type === "state").map((r) => r.state);
    assert.deepEqual(states.slice(-3), ["backoff", "dialing", "closed"]);
  }));

test("an instance that cannot be started ends what waits for it, and is tried again with what comes", async (t) => {
  const { instantiate } = WebAssembly;
  await withHandle([], async (core, h) => {
    const mock = t.mock.method(WebAssembly, "instantiate", () => Promise.reject(new RangeError("out of memory")));
    core.post({ type: "crash" });
    core.post({ type: "open", id: 2, config: h.config, lost: null, observe: [] });
    const ends = (id) => h.reports.find((r) => r.id === id && r.type === "state" && r.state === "closed");
    while (!ends(2)) await new Promise((resolve) => setImmediate(resolve));
    for (const id of [1, 2]) {
      const { error } = ends(id);
      assert.deepEqual([error.code, error.fatal], ["core_crashed", true]);
      assert.match(error.message, /out of memory/);
    }
    core.post({ type: "open", id: 3, config: h.config, lost: null, observe: [] });
    while (!ends(3)) await new Promise((resolve) => setImmediate(resolve));
    mock.mock.mockImplementation((...args) => instantiate.apply(WebAssembly, args));
    const { dials } = h;
    core.post({ type: "open", id: 4, config: h.config, lost: null, observe: [] });
    while (h.dials === dials) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ends(4), undefined);
  });
});
