// The package in Chromium, with the core in a Worker and on the page.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { BLANK, browser, captures, gateway, page, web } from "./harness.mjs";

const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ws: http:";

let b, site, documented, spacebar;
before(async () => {
  b = await browser();
  site = await web({ pages: { "/": BLANK }, headers: { "Content-Security-Policy": CSP } });
  documented = await gateway("-profile", "documented", "-interval", "2s");
  spacebar = await gateway("-profile", "spacebar", "-interval", "2s");
});
after(async () => {
  await b?.close();
  site?.stop();
  documented?.stop();
  spacebar?.stop();
});

/** A page with the package loaded and the core in a host; `run` gets what the tests use. */
async function loaded(host) {
  const t = await page(b, site.url + "/");
  await t.run(async (host) => {
    globalThis.g = await import("/dist/index.js");
    await g.init({ host });
    globalThis.until = async (what, cond, ms = 20_000) => {
      const end = Date.now() + ms;
      while (!cond()) {
        if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
        await new Promise((r) => setTimeout(r, 5));
      }
    };
  }, host);
  return t;
}

for (const host of ["worker", "main"]) {
  describe(`host ${host}`, () => {
    it("connects, observes, sends, closes", async () => {
      const t = await loaded(host);
      const { guilds } = await documented.control({ action: "world" });
      const r = await t.run(
        async (url, token, guild) => {
          const seen = [];
          const states = [];
          const handle = await g.connect(url, {
            token,
            observe: { READY: (d, e) => seen.push([e.type, e.seq, d.user.username]) },
            setup: (h) => h.observeState((s) => states.push(s.state)),
          });
          const members = await handle.requestGuildMembers({ guild_id: guild.id, query: "", limit: 0 });
          const voice = guild.channels.find((c) => c.type === 2).id;
          const joined = handle.waitFor("VOICE_STATE_UPDATE", (v) => v.channel_id === voice);
          await spacebarGateway.sendUpdateVoiceState(handle, { guild_id: guild.id, channel_id: voice, self_mute: true, self_deaf: false });
          const state = await joined;
          const last = await handle.requestLastMessages({ guild_id: guild.id, channel_ids: [guild.channels.find((c) => c.type === 0).id] });
          await handle.sendUpdatePresence({ status: "dnd", since: null, activities: [], afk: false });
          await until("a heartbeat", () => handle.latency > 0);
          const stats = await handle.stats();
          const session = handle.session;
          await handle.close();
          return { seen, states, members: members.members.length, notFound: members.notFound, mute: state.self_mute, last: last.messages.length, stats, session, end: handle.state, done: await handle.done, host: g.hostKind() };
        },
        documented.url,
        documented.token,
        guilds[0],
      );
      assert.deepEqual(r.states.slice(0, 4), ["dialing", "awaiting_hello", "identifying", "ready"]);
      assert.deepEqual(r.seen, [["READY", 1, "alice"]]);
      assert.ok(r.members >= 10, `${r.members} members`);
      assert.equal(r.mute, true);
      assert.ok(r.last > 0);
      assert.equal(r.stats.events.READY, 1);
      assert.ok(r.stats.dials === 1 && r.stats.resumes === 0 && r.stats.gaps === 0 && r.stats.crashes === 0 && r.stats.dropped === 0 && r.stats.queued === 0, JSON.stringify(r.stats));
      assert.ok(r.stats.messages > 5 && r.stats.bytesSent > 300 && r.stats.bytesReceived > 1000 && r.stats.bytesDecoded > r.stats.bytesReceived, JSON.stringify(r.stats));
      assert.ok(r.stats.latency.last > 0 && r.stats.latency.p99 >= r.stats.latency.mean, JSON.stringify(r.stats));
      assert.ok(r.session.id && r.session.seq > 1);
      assert.equal(r.end, "closed");
      assert.equal(r.done, null);
      assert.equal(r.host, host);
      assert.equal((await documented.closed(r.session.id)).client_code, 1000);
      await t.close();
    });

    it("resumes after a drop and misses nothing", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token) => {
          const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
          const got = [];
          const gaps = [];
          let resumed = 0;
          const handle = await g.connect(url, { token, setup: (h) => (h.observeGaps((x) => gaps.push(x)), h.observeState((s) => (resumed += s.resumed ? 1 : 0))) });
          handle.observe("COUNT", (d) => got.push(d.n));
          let n = 0;
          for (let drop = 0; drop < 5; drop++) {
            for (let i = 0; i < 20; i++) await control({ action: "dispatch", event: "COUNT", d: { n: n++ } });
            await control(drop % 2 ? { action: "reconnect" } : { action: "drop" });
            for (let i = 0; i < 20; i++) await control({ action: "dispatch", event: "COUNT", d: { n: n++ } });
            await until("resumed", () => resumed > drop);
          }
          await until("all events", () => got.length >= n);
          await handle.close();
          return { got, n, gaps: gaps.length, resumed };
        },
        documented.url,
        documented.http,
        documented.token,
      );
      assert.deepEqual(r.got, Array.from({ length: r.n }, (_, i) => i));
      assert.equal(r.gaps, 0);
      assert.equal(r.resumed, 5);
      await t.close();
    });

    it("reports a gap on a server that cannot resume", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token) => {
          const gaps = [];
          const states = [];
          const handle = await g.connect(url, { token, maxMessageSize: 4096, setup: (h) => (h.observeGaps((x) => gaps.push(x)), h.observeState((s) => states.push(s.state))) });
          const before = Date.now();
          await fetch(`${http}/control`, { method: "POST", body: JSON.stringify({ action: "drop" }) });
          await until("a gap", () => gaps.length > 0);
          const state = handle.state;
          await handle.close();
          const { reason, ...gap } = gaps[0];
          return { gap, reason: reason.code, error: reason instanceof g.GatewayError, state, before, now: Date.now(), states, n: gaps.length };
        },
        spacebar.url,
        spacebar.http,
        spacebar.token,
      );
      assert.equal(r.n, 1);
      assert.equal(r.state, "ready");
      assert.equal(r.gap.sessionLost, true);
      assert.equal(r.reason, "invalid_session");
      assert.ok(r.error);
      assert.ok(r.gap.lastSeq >= 0);
      assert.ok(r.gap.disconnectedAt <= r.before + 100 && r.gap.reconnectedAt > r.gap.disconnectedAt + 900 && r.gap.reconnectedAt <= r.now, JSON.stringify(r));
      await t.close();
    });

    it("survives a crash of the wasm instance", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token) => {
          const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
          const errors = [];
          const got = [];
          const gaps = [];
          let ready = 0;
          const handle = await g.connect(url, { token, setup: (h) => (h.observeErrors((e) => errors.push(e)), h.observeGaps((x) => gaps.push(x)), h.observeState((s) => (ready += s.state === "ready" ? 1 : 0))) });
          handle.observe("COUNT", (d) => got.push(d.n));
          for (let i = 0; i < 10; i++) await control({ action: "dispatch", event: "COUNT", d: { n: i } });
          await until("the first events", () => got.length === 10);
          g.crashForTest();
          await control({ action: "dispatch", event: "COUNT", d: { n: 10 } });
          await until("ready again", () => ready === 2);
          await control({ action: "dispatch", event: "COUNT", d: { n: 11 } });
          await until("the rest", () => got.length === 12);
          await handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false });
          const stats = await handle.stats();
          await handle.close();
          return { got, errors: errors.map((e) => [e.code, e.fatal]), gaps: gaps.length, crashes: stats.crashes, text: errors.find((e) => e.code === "core_crashed")?.message };
        },
        documented.url,
        documented.http,
        documented.token,
      );
      assert.deepEqual(r.got, Array.from({ length: 12 }, (_, i) => i));
      assert.deepEqual(r.errors.filter(([code]) => code === "core_crashed"), [["core_crashed", false]]);
      assert.match(r.text, /crash was called/);
      assert.equal(r.gaps, 0);
      assert.equal(r.crashes, 1);
      await t.close();
    });

    it("keeps observers apart", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token) => {
          const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
          const out = {};
          const handle = await g.connect(url, { token });
          const errors = [];
          handle.observeErrors((e) => errors.push([e.code, e.cause?.message]));
          const log = [];
          handle.observe("A", () => log.push("first"));
          handle.observe("A", () => {
            throw new Error("on purpose");
          });
          const stopSelf = handle.observe("A", () => {
            log.push("self");
            stopSelf();
          });
          handle.observe(["A", "B"], { update: (d, e) => log.push(e.type + d.n) });
          handle.once("A", () => log.push("once"));
          const abort = new AbortController();
          handle.observe("A", () => log.push("signal"), { signal: abort.signal });
          const clone = handle.clone();
          clone.observe("A", () => log.push("clone"));
          const all = [];
          handle.observe("*", (d, e) => all.push([e.type, e.seq]));
          await control({ action: "dispatch", event: "A", d: { n: 1 } });
          await control({ action: "dispatch", event: "B", d: { n: 2 } });
          await until("B", () => all.some(([t]) => t === "B"));
          out.first = log.splice(0);
          out.errors = errors.splice(0);
          abort.abort();
          await clone.close();
          out.stillOpen = handle.state;
          await control({ action: "dispatch", event: "A", d: { n: 3 } });
          await until("the second A", () => all.filter(([t]) => t === "A").length === 2);
          out.second = log.splice(0);
          out.seqs = all.map(([, s]) => s);
          // Iteration and waiting.
          const iterated = [];
          const loop = (async () => {
            for await (const d of handle.events("B")) {
              iterated.push(d.n);
              if (iterated.length === 3) break;
            }
          })();
          const wait = handle.waitFor("B", (d) => d.n === 12);
          for (const n of [10, 11, 12, 13]) await control({ action: "dispatch", event: "B", d: { n } });
          await loop;
          out.iterated = iterated;
          out.waited = (await wait).n;
          out.timeout = await handle.waitFor("NEVER", null, { timeout: 20 }).catch((e) => e.code);
          out.aborted = await handle.waitFor("NEVER", null, { signal: AbortSignal.abort() }).catch((e) => e.code);
          const closing = handle.waitFor("NEVER").catch((e) => e.code);
          const over = (async () => {
            for await (const d of handle.events("NEVER")) void d;
            return "over";
          })();
          await handle.close();
          out.closed = await closing;
          out.over = await over;
          out.after = await handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }).catch((e) => e.code);
          return out;
        },
        documented.url,
        documented.http,
        documented.token,
      );
      assert.deepEqual(r.first, ["first", "self", "A1", "once", "signal", "clone", "B2"]);
      assert.deepEqual(r.errors, [["observer_threw", "on purpose"]]);
      assert.equal(r.stillOpen, "ready");
      assert.deepEqual(r.second, ["first", "A3"]);
      assert.deepEqual(r.seqs, [...r.seqs].sort((a, c) => a - c));
      assert.deepEqual(r.iterated, [10, 11, 12]);
      assert.equal(r.waited, 12);
      assert.deepEqual([r.timeout, r.aborted, r.closed, r.over, r.after], ["timeout", "aborted", "closed", "over", "closed"]);
      await t.close();
    });

    it("spawns, and identifies or resumes when told to", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, token) => {
          const out = {};
          const handle = await g.spawn(url);
          out.state = handle.state;
          out.early = await handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }).catch((e) => e.code);
          const ready = await handle.identify(g.identifyCommon(token));
          out.user = ready.user.username;
          out.twice = await handle.sendIdentify(g.identifyCommon(token)).catch((e) => e.code);
          const session = handle.session;
          await handle.close({ resumable: true });
          const second = await g.spawn(url);
          await second.resume({ token, session_id: session.id, seq: session.seq });
          out.resumed = second.session.id === session.id;
          const kept = second.session;
          await second.close({ resumable: true });
          let resumed;
          const third = await g.connect(url, { token, session: kept, setup: (h) => h.observeState((s) => s.state === "ready" && (resumed = s.resumed)) });
          out.restored = resumed;
          await third.close();
          return out;
        },
        documented.url,
        documented.token,
      );
      assert.deepEqual(r, { state: "connected", early: "not_ready", user: "alice", twice: "already_identified", resumed: true, restored: true });
      await t.close();
    });

    it("notices within seconds that a connection is dead when the network comes back", async () => {
      const slow = await gateway("-profile", "documented"); // heartbeats every 41 s: no help from those
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token) => {
          const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
          const beats = async () => (await (await control({ action: "counters" })).json()).heartbeats;
          const out = {};
          const states = [];
          const handle = await g.connect(url, { token, setup: (h) => h.observeState((s) => states.push(s.state)) });
          // A live connection answers the probe and stays.
          const before = await beats();
          dispatchEvent(new Event("online"));
          await until("the answer to a probe", () => handle.latency > 0);
          out.probes = (await beats()) - before;
          out.alive = states.at(-1);
          // A dead one is replaced.
          await control({ action: "freeze", on: true });
          document.dispatchEvent(new Event("visibilitychange"));
          await until("a new connection, long before the next heartbeat", () => states.filter((s) => s === "ready").length === 2);
          await handle.close();
          return out;
        },
        slow.url,
        slow.http,
        slow.token,
      );
      assert.equal(r.alive, "ready");
      assert.equal(r.probes, 1);
      await t.close();
      slow.stop();
    });

    for (const compress of ["none", "zlib-stream"]) {
      it(`survives malformed and extreme events, and keeps every digit (${compress})`, async () => {
        const t = await loaded(host);
        const r = await t.run(
          async (url, http, token, compress) => {
            const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
            const raw = (text) => control({ action: "raw", text });
            const errors = [];
            const got = [];
            const handle = await g.connect(url, { token, compress, setup: (h) => h.observeErrors((e) => errors.push(e.code)) });
            handle.observe("*", (d, e) => got.push([e.type, d]));
            await raw('{"op":0,"t":"BROKEN","d":{"a":},"s":100}');
            await raw('{"op":0,"t":"BIG","d":{"a":12345678901234567890,"b":"x:12345678901234567890","c":[-9007199254740993,9007199254740991]},"s":101}');
            await raw('{"op":0,"t":"EXTRA","d":{"a":1},"x":{"s":5},"s":102}');
            await raw('{"op":0,"t":"SPACES", "d": {"a": 1 } , "s" : 103 }');
            await raw('{"t":"DISCORD","s":104,"op":0,"d":{"a":1}}');
            await raw('{"op":0,"t":"ARRAY","d":[{"a":1}],"s":105}');
            await raw('{"op":0,"t":"NULL","d":null,"s":106}');
            await raw('{"op":0,"t":"NO_S","d":{"a":1}}');
            await raw(`{"op":0,"t":"DEEP","d":${"[".repeat(3000)}${"]".repeat(3000)},"s":107}`);
            await raw('{"op":0,"t":"PROTO","d":{"__proto__":{"polluted":1},"constructor":1},"s":108}');
            await raw('{"op":0,"t":"ÜNÏCODE😀","d":{"a":"ü😀"},"s":109}');
            await raw("{nonsense");
            await raw(`{"op":0,"t":"LARGE","d":{"a":"${"ü".repeat(300000)}"},"s":110}`);
            await raw('{"op":0,"t":"LAST","d":{},"s":111}');
            await until("LAST", () => got.some(([t]) => t === "LAST"));
            const state = handle.state;
            const seq = handle.session.seq;
            await handle.close();
            return { got: got.map(([t, d]) => [t, t === "DEEP" ? Array.isArray(d) : t === "LARGE" ? d.a.length : JSON.stringify(d)]), errors, state, seq, polluted: {}.polluted };
          },
          documented.url,
          documented.http,
          documented.token,
          compress,
        );
        assert.deepEqual(
          r.got.filter(([t]) => !["READY_SUPPLEMENTAL", "SESSIONS_REPLACE", "PRESENCE_UPDATE"].includes(t)),
          [
            ["BIG", '{"a":"12345678901234567890","b":"x:12345678901234567890","c":["-9007199254740993",9007199254740991]}'],
            ["EXTRA", '{"a":1}'],
            ["SPACES", '{"a":1}'],
            ["DISCORD", '{"a":1}'],
            ["ARRAY", '[{"a":1}]'],
            ["NULL", "null"],
            ["NO_S", '{"a":1}'],
            ["DEEP", true],
            ["PROTO", '{"__proto__":{"polluted":1},"constructor":1}'],
            ["ÜNÏCODE😀", '{"a":"ü😀"}'],
            ["LARGE", 300000],
            ["LAST", "{}"],
          ],
        );
        assert.deepEqual(r.errors, ["malformed_message", "malformed_message"]);
        assert.equal(r.state, "ready");
        assert.equal(r.polluted, undefined);
        await t.close();
      });
    }

    it("says clearly what is wrong", async () => {
      const t = await loaded(host);
      const r = await t.run(
        async (url, http, token, spacebarURL) => {
          const code = async (p) => {
            try {
              const h = await p;
              await h?.close?.();
              return "no error";
            } catch (e) {
              return e instanceof g.GatewayError ? `${e.code}${e.fatal ? " fatal" : ""}: ${e.message}` : `not a GatewayError: ${e}`;
            }
          };
          const quick = { token, attempts: 1 };
          const out = {
            notURL: await code(g.connect("nonsense", quick)),
            http: await code(g.connect("http://example.test/", quick)),
            noToken: await code(g.connect(url, {})),
            option: await code(g.connect(url, { token, tokn: 1 })),
            value: await code(g.connect(url, { token, compress: "gzip" })),
            range: await code(g.connect(url, { token, maxMessageSize: 5 })),
            init: await code(g.init({ host: "moon" })),
            late: await code(g.init({ wasm: "/other.wasm" })),
            refused: await code(g.connect("ws://127.0.0.1:1/", quick)),
            html: await code(g.connect(location.href.replace("http", "ws"), quick)),
            wrong: await code(g.connect(url, { token: "bad-token" })),
            wrongSpacebar: await code(g.connect(spacebarURL, { token: "bad-token" })),
          };
          const cyclic = {};
          cyclic.self = cyclic;
          const handle = await g.connect(url, { token });
          out.cyclic = await code(handle.send(3, cyclic));
          out.bigint = await code(handle.send(3, { n: 1n }));
          out.func = await code(handle.send(3, () => {}));
          out.getter = await code(
            handle.send(3, {
              get x() {
                throw "thrown text";
              },
            }),
          );
          out.op = await code(handle.send("three", {}));
          out.missing = await code(handle.sendUpdatePresence({ status: "online" }));
          out.unknown = await code(handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false, colour: 1 }));
          out.mistyped = await code(handle.sendUpdateVoiceState({ guild_id: 5, channel_id: null, self_mute: true, self_deaf: true }));
          out.bounds = await code(handle.sendRequestGuildMembers({ guild_id: "1", query: "", limit: 5000 }));
          out.large = await code(handle.send(3, "x".repeat(20000)));
          out.stillReady = handle.state;
          out.observer = await code((async () => handle.observe("A", 5))());
          out.name = await code((async () => handle.observe("", () => {}))());
          await handle.close();
          const aborted = new AbortController();
          const p = g.connect("ws://127.0.0.1:1/", { token, attempts: Infinity, signal: aborted.signal });
          setTimeout(() => aborted.abort(), 50);
          out.aborted = await code(p);
          return out;
        },
        documented.url,
        documented.http,
        documented.token,
        spacebar.url,
      );
      const expected = {
        notURL: /^invalid_url: .*wss:/,
        http: /^invalid_url: .*http:/,
        noToken: /^invalid_option: .*token/,
        option: /^invalid_option: .*"tokn".*token/,
        value: /^invalid_option: .*zlib-stream.*gzip/,
        range: /^invalid_option: maxMessageSize .*512/,
        init: /^invalid_option: .*worker.*moon/,
        late: /^invalid_option: .*loaded already/,
        refused: /^dial_failed fatal: .*127\.0\.0\.1:1/,
        html: /^dial_failed fatal/,
        wrong: /^authentication_failed fatal: .*4004/,
        wrongSpacebar: /^authentication_failed fatal: .*4000.*token/,
        cyclic: /^invalid_payload: .*circular/i,
        bigint: /^invalid_payload: .*BigInt/,
        func: /^invalid_payload/,
        getter: /^invalid_payload: .*thrown text/,
        op: /^invalid_payload: .*three/,
        missing: /^invalid_payload: .*since is missing/,
        unknown: /^invalid_payload: .*\bcolour\b/,
        mistyped: /^invalid_payload: .*guild_id must be an id/,
        bounds: /^invalid_payload: .*limit must be at most 100/,
        large: /^message_too_large: .*15360/,
        stillReady: /^ready$/,
        observer: /^invalid_option/,
        name: /^invalid_option/,
        aborted: /^aborted/,
      };
      for (const [name, pattern] of Object.entries(expected)) {
        assert.match(r[name], pattern, name);
        assert.doesNotMatch(r[name], /bad-token|token-of/, "a token is shown");
      }
      await t.close();
    });
  });
}

describe("in the Worker", () => {
  /** How often the Worker has slept by when there were few messages and by the end of a flood; whether a send succeeds meanwhile. */
  async function flood(t, n) {
    await t.run(
      async (url, token) => {
        globalThis.seqs = [];
        globalThis.handle = await g.connect(url, { token, observe: { TYPING_START: (d, e) => seqs.push(e.seq) } });
      },
      documented.url,
      documented.token,
    );
    const action = { action: "flood", event: "TYPING_START", d: { channel_id: "1", user_id: "2", timestamp: 3 } };
    await documented.control({ ...action, n: 30 });
    await t.run(() => until("a few events", () => seqs.length === 30));
    const [worker] = t.p.workers();
    const few = await worker.evaluate(() => naps);
    const [, r] = await Promise.all([
      documented.control({ ...action, n }),
      t.run(async (n) => {
        await until("the first events", () => seqs.length > 30);
        const sent = await handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }).then(() => "sent");
        await until("all events", () => seqs.length === 30 + n);
        return { sent, ordered: seqs.every((s, i) => i === 0 || s > seqs[i - 1]) };
      }, n),
    ]);
    const many = await worker.evaluate(() => naps);
    // It wakes up for good when nothing comes any more.
    await worker.evaluate(async () => {
      for (let before = -1; before !== naps; await new Promise((r) => setTimeout(r, 50))) before = naps;
    });
    await t.run(() => handle.close());
    return { few, many, ...r };
  }

  /** A page with the core in a Worker that counts its naps. */
  async function counting() {
    const t = await loaded("worker");
    await t.p.workers()[0].evaluate(() => {
      globalThis.naps = 0;
      const { wait } = Atomics;
      Atomics.wait = (bed, ...rest) => {
        if (rest.length === 3) naps++; // with a time
        return wait(bed, ...rest);
      };
    });
    return t;
  }

  it("sleeps for moments while messages pour in, not while there are few", async () => {
    const t = await counting();
    const r = await flood(t, 20_000);
    assert.deepEqual({ ...r, many: 0 }, { few: 0, many: 0, sent: "sent", ordered: true });
    assert.ok(r.many > 0 && r.many < 20_000, `${r.many} naps`); // fewer than messages
    await t.close();
  });

  it("stays awake where it must not sleep", async () => {
    for (const forbid of [
      () => (WebAssembly.Memory = class { constructor() { throw new RangeError("no"); } }),
      () => {
        Atomics.wait = (bed, ...rest) => {
          if (rest.length === 3) naps++;
          throw new TypeError("no");
        };
      },
    ]) {
      const t = await counting();
      await t.p.workers()[0].evaluate(forbid);
      assert.deepEqual(await flood(t, 5_000), { few: 0, many: 0, sent: "sent", ordered: true });
      await t.close();
    }
  });
});

describe("captures", () => {
  const probes = readdirSync(fileURLToPath(new URL("../captures/probes/", import.meta.url)))
    .filter((f) => f.endsWith(".jsonl") && !f.endsWith(".expected.jsonl"))
    .map((f) => `probes/${f.slice(0, -".jsonl".length)}`);
  const main = ["alice", "ready40"].flatMap((who) => ["json-plain", "json-zlib", "json-zstd", "etf-plain", "etf-zlib"].map((how) => `${who}-${how}`));
  for (const host of ["worker", "main"]) {
    it(`play through the ${host}, each event once and in order`, async () => {
      const t = await loaded(host);
      let events = 0;
      for (const c of captures([...main, ...probes])) {
        await spacebar.control({ action: "play", capture: c.text });
        const wanted = c.expected.filter((m) => m.op === 0);
        const got = await t.run(
          async (url, options, n) => {
            const got = [];
            const handle = await g
              .spawn(url, {
                ...options,
                attempts: 1,
                setup: (h) => {
                  h.observe("*", (d, e) => got.push({ t: e.type, s: e.seq, d }));
                  // What has been recorded begins when the client says something.
                  h.observeState((s) => s.state === "connected" && h.sendIdentify(g.identifyCommon("token-of-alice")).catch(() => {}));
                },
              })
              .catch(() => undefined);
            if (n > 0) await until(`${n} events`, () => got.length >= n);
            await handle?.close();
            return got;
          },
          spacebar.url,
          { encoding: c.query.get("encoding") ?? "json", compress: c.query.get("compress")?.replace("gzip", "none") ?? "none" },
          wanted.length,
        );
        assert.equal(got.length, wanted.length, c.name);
        wanted.forEach((m, i) => assert.deepEqual(got[i], { t: m.t, s: m.s ?? null, d: exactly(m.d) }, `${c.name}, event ${i}`));
        events += got.length;
      }
      assert.equal(events, 928);
      await t.close();
    });
  }
});

/** The payload as JavaScript has it: undefined fields of ETF are null in both. */
function exactly(d) {
  return d;
}

describe("loading", () => {
  it("works from a classic script, under a strict policy", async () => {
    const script = await web({ pages: { "/": `${BLANK}<script src="/dist/spacebar-gateway.js"></script>` }, headers: { "Content-Security-Policy": CSP } });
    const t = await page(b, script.url + "/");
    const r = await t.run(
      async (url, token) => {
        const before = Object.keys(globalThis).filter((k) => /^(Go|fs|path|process)$/.test(k));
        const handle = await spacebarGateway.connect(url, { token });
        const name = await Promise.race([handle.waitFor("SESSIONS_REPLACE").then(() => "event"), new Promise((r) => setTimeout(() => r("ready"), 200))]);
        await spacebarGateway.send(handle, 3, { status: "online", since: null, activities: [], afk: false });
        const host = spacebarGateway.hostKind();
        await handle.close();
        return { host, name: typeof name, before, wrong: await Promise.resolve().then(() => spacebarGateway.sendUpdatePresence({})).catch((e) => e.name), version: spacebarGateway.version, events: spacebarGateway.events.message.create };
      },
      documented.url,
      documented.token,
    );
    assert.deepEqual(r, { host: "worker", name: "string", before: [], wrong: "TypeError", version: r.version, events: "MESSAGE_CREATE" });
    assert.match(r.version, /^\d+\.\d+\.\d+$/);
    await t.close();
    script.stop();
  });

  it("takes the binary with any type, as bytes and as a module", async () => {
    const odd = await web({ pages: { "/": BLANK }, types: { ".wasm": "application/octet-stream" } });
    for (const how of ["url", "bytes", "module"]) {
      for (const host of ["worker", "main"]) {
        const t = await page(b, odd.url + "/");
        const kind = await t.run(
          async (how, host) => {
            const g = await import("/dist/index.js");
            const bytes = () => fetch("/dist/gateway.wasm").then((r) => r.arrayBuffer());
            await g.init({ host, wasm: how === "url" ? "/dist/gateway.wasm" : how === "bytes" ? await bytes() : await WebAssembly.compile(await bytes()) });
            return g.hostKind();
          },
          how,
          host,
        );
        assert.equal(kind, host);
        await t.close();
      }
    }
    odd.stop();
  });

  it("refuses ws:// on a page loaded over https, but not to the machine itself", async () => {
    const p = await b.newPage();
    await p.setRequestInterception(true);
    p.on("request", async (request) => {
      const { pathname, host } = new URL(request.url());
      if (host !== "app.test") return request.continue();
      if (pathname === "/") return request.respond({ contentType: "text/html", body: BLANK });
      const response = await fetch(site.url + pathname);
      request.respond({ status: response.status, contentType: response.headers.get("content-type"), body: Buffer.from(await response.arrayBuffer()) });
    });
    await p.goto("https://app.test/");
    const errors = await p.evaluate(async () => {
      const g = await import("/dist/index.js");
      await g.init({ host: "main" }); // the driver now and then forgets what a Worker asks for
      const code = (url) => g.connect(url, { token: "x", attempts: 1 }).catch((e) => `${e.code}: ${e.message}`);
      return [await code("ws://gateway.test/"), await code("ws://127.0.0.1:1/")];
    });
    assert.match(errors[0], /^invalid_url: .*https.*wss:/);
    assert.match(errors[1], /^(dial_failed|load_failed)/);
    await p.close();
  });

  it("says what is missing, and can be tried again", async () => {
    const broken = await web({ pages: { "/": BLANK }, missing: ["/dist/gateway.wasm"] });
    for (const host of ["worker", "main"]) {
      const t = await page(b, broken.url + "/");
      const r = await t.run(async (host) => {
        const g = await import("/dist/index.js");
        const failure = await g.init({ host }).catch((e) => `${e.code}: ${e.message}`);
        const text = await g.init({ host, wasm: "/index.html" }).catch((e) => e.code);
        return { failure, text };
      }, host);
      assert.match(r.failure, /^load_failed: .*gateway\.wasm.*404/);
      assert.equal(r.text, "load_failed");
      await t.close();
    }
    broken.stop();
  });

  it("falls back to the page's thread where there is no Worker to be had", async () => {
    const without = await web({ pages: { "/": BLANK }, missing: ["/dist/worker.js"] });
    const t = await page(b, without.url + "/");
    const warnings = [];
    t.p.on("console", (m) => m.type() === "warn" && warnings.push(m.text()));
    const kind = await t.run(async () => {
      const g = await import("/dist/index.js");
      await g.init();
      return g.hostKind();
    });
    assert.equal(kind, "main");
    assert.match(warnings.join(), /could not start the Worker/);
    await t.close();
    without.stop();
  });
});
