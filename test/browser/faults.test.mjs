// What happens to pages and to their Workers: the session goes on, or a gap is
// reported, and nothing is left unhandled.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { BLANK, browser, gateway, page, web } from "./harness.mjs";

let b, site, documented;
before(async () => {
  b = await browser({ ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  // Pages that may not be stored do not get into the back/forward cache.
  site = await web({ pages: { "/": BLANK, "/elsewhere": BLANK }, headers: { "Cache-Control": "max-age=60" } });
  documented = await gateway("-profile", "documented", "-interval", "2s");
});
after(async () => {
  await b?.close();
  site?.stop();
  documented?.stop();
});

/** A page with a connection whose life is written down in globals; COUNT events are collected. */
async function connected(host, srv = documented, init = {}, from = site) {
  const t = await page(b, from.url + "/");
  await t.run(
    async (host, init, url, token) => {
      globalThis.g = await import("/dist/index.js");
      await g.init({ host, ...(init.bytes ? { wasm: Uint8Array.from(atob(init.bytes), (c) => c.charCodeAt(0)).buffer } : {}) });
      globalThis.log = { states: [], errors: [], gaps: [], got: [], unhandled: [] };
      addEventListener("error", (e) => log.unhandled.push(String(e.message)));
      addEventListener("unhandledrejection", (e) => log.unhandled.push(String(e.reason)));
      globalThis.until = async (what, cond, ms = 30_000) => {
        for (const end = Date.now() + ms; !cond(); await new Promise((r) => setTimeout(r, 5))) if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
      };
      globalThis.handle = await g.connect(url, {
        token,
        setup: (h) => {
          h.observeState((s) => log.states.push(s.state));
          h.observeErrors((e) => log.errors.push({ code: e.code, fatal: e.fatal, message: e.message, typed: e instanceof g.GatewayError }));
          h.observeGaps((gap) => log.gaps.push(gap.sessionLost));
          h.observe("COUNT", (d) => log.got.push(d.n));
        },
      });
      globalThis.ready = () => log.states.filter((s) => s === "ready").length;
    },
    host,
    init,
    srv.url,
    srv.token,
  );
  let n = 0;
  /** Has the server send another event. */
  t.count = () => srv.control({ action: "dispatch", event: "COUNT", d: { n: n++ } });
  /**
   * Holds that events arrive; that none was missed, or else a gap was reported;
   * that none came twice; and that nothing was left unhandled.
   */
  t.whole = async () => {
    for (const end = Date.now() + 30_000; ; await new Promise((r) => setTimeout(r, 200))) {
      await t.count();
      const last = n - 1;
      if (await t.run((last) => until("", () => log.got.at(-1) >= last, 500).then(() => true, () => false), last)) break;
      if (Date.now() > end) assert.fail(`no event arrives: ${JSON.stringify(await t.run(() => [handle.state, log]))}`);
    }
    const log = await t.run(() => globalThis.log);
    assert.deepEqual(log.got, [...new Set(log.got)].sort((a, c) => a - c));
    if (log.gaps.length === 0) assert.deepEqual(log.got, Array.from({ length: n }, (_, i) => i));
    assert.deepEqual(log.unhandled, []);
    assert.ok(log.errors.every((e) => e.typed && e.code));
    return log;
  };
  t.end = async () => {
    await t.run(() => handle.close());
    await t.close();
  };
  return t;
}

/** Ends the page's Worker the way a browser short of memory does. */
async function killWorker(t) {
  const [worker] = t.p.workers();
  await worker.client.send("Runtime.terminateExecution").catch(() => {});
  await worker.close();
}

describe("the Worker", () => {
  it("is given up if it is ended while it loads", async () => {
    const t = await page(b, site.url + "/");
    const warned = [];
    t.p.on("console", (m) => warned.push(m.text()));
    // A binary that never comes keeps it loading.
    const hung = createServer((_, response) => response.writeHead(200, { "Content-Type": "application/wasm", "Access-Control-Allow-Origin": "*" }).flushHeaders());
    const asked = new Promise((resolve) => hung.once("request", resolve));
    await new Promise((resolve) => hung.listen(0, "127.0.0.1", resolve));
    try {
      await t.run(async (wasm) => {
        const g = await import("/dist/index.js");
        g.init({ wasm }).catch(() => {});
      }, `http://127.0.0.1:${hung.address().port}/gateway.wasm`);
      await asked;
      // What is asked for and what is locked are two ways from the Worker: either may be first.
      await t.run(async () => {
        while ((await navigator.locks.query()).pending.length === 0) await new Promise((r) => setTimeout(r, 5));
      });
      await killWorker(t);
      for (let n = 0; warned.length === 0 && n < 200; n++) await new Promise((r) => setTimeout(r, 50));
      assert.match(warned.join(), /ended while it loaded.*page's own thread/);
    } finally {
      hung.closeAllConnections();
      hung.close();
    }
    await t.close();
  });

  it("is replaced when it is ended, and the session goes on", async () => {
    const t = await connected("worker");
    await t.count();
    await t.run(() => until("an event", () => log.got.length === 1));
    for (let n = 2; n <= 3; n++) {
      await killWorker(t);
      await t.count();
      await t.run((n) => until("ready again", () => ready() === n), n);
      await t.count();
    }
    const log = await t.whole();
    // The browser closes the socket of a Worker that has ended with 1001, which ends
    // the session on servers: a gap is reported.
    const crashes = log.errors.filter((e) => e.code === "core_crashed");
    assert.deepEqual(crashes.map((e) => e.fatal), [false, false]);
    assert.equal(await t.run(() => g.hostKind()), "worker");
    await t.run(() => handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }));
    await t.end();
  });

  it("is replaced when the network is back, if there was none when it was ended", async () => {
    const uncached = await web({ pages: { "/": BLANK } });
    const t = await connected("worker", documented, {}, uncached);
    await t.p.setOfflineMode(true);
    await killWorker(t);
    await documented.control({ action: "drop" });
    await t.run(() => until("another try", () => log.errors.some((e) => e.code === "load_failed")));
    await t.p.setOfflineMode(false);
    await t.count();
    await t.run(() => until("ready again", () => ready() === 2));
    assert.equal(await t.run(() => g.hostKind()), "worker");
    const { errors } = await t.whole();
    assert.ok(errors.every((e) => !e.fatal), JSON.stringify(errors));
    await t.end();
    uncached.stop();
  });

  it("is not replaced for ever", async () => {
    const t = await connected("worker");
    for (let n = 2; n <= 6; n++) {
      await killWorker(t);
      await t.run((n) => until("ready again", () => ready() === n), n);
    }
    await killWorker(t);
    const r = await t.run(async () => {
      const done = await handle.done;
      const send = await handle.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }).catch((e) => e.code);
      return { code: done.code, fatal: done.fatal, typed: done instanceof g.GatewayError, state: handle.state, last: log.errors.at(-1), send, unhandled: log.unhandled };
    });
    assert.deepEqual([r.code, r.fatal, r.typed, r.state, r.send, r.last.code, r.last.fatal, r.unhandled], ["core_crashed", true, true, "closed", "closed", "core_crashed", true, []]);
    // What is connected afterwards has a new one.
    const again = await t.run(async (url, token) => {
      const h = await g.connect(url, { token });
      const state = h.state;
      await h.close();
      return state;
    }, documented.url, documented.token);
    assert.equal(again, "ready");
    await t.close();
  });
});

/** The binary with a memory that cannot grow beyond a size. */
function capped(bytes, pages) {
  const leb = (n) => {
    const out = [];
    do out.push((n & 127) | (n > 127 ? 128 : 0));
    while ((n >>>= 7));
    return out;
  };
  const read = (at) => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return [value, at];
    }
  };
  for (let at = 8; at < bytes.length; ) {
    const [size, from] = read(at + 1);
    if (bytes[at] === 5) {
      const [least] = read(from + 2);
      const limits = [1, 1, ...leb(least), ...leb(pages)]; // one memory, with a maximum
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([5, ...leb(limits.length), ...limits]), bytes.subarray(from + size)]);
    }
    at = from + size;
  }
  throw new Error("the binary has no memory");
}

for (const host of ["worker", "main"]) {
  describe(`host ${host}`, () => {
    it("goes on after the core has run out of memory", async () => {
      const bytes = capped(readFileSync(fileURLToPath(new URL("../../web/dist/gateway.wasm", import.meta.url))), 256).toString("base64"); // 16 MB
      const patient = await gateway("-profile", "documented");
      const t = await connected(host, patient, { bytes });
      await t.count();
      // A text that Go has to see as a whole, as there is no number at its end.
      await t.run((http) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify({ action: "raw", text: `{"op":0,"d":"${"x".repeat(20 << 20)}","t":"LARGE","s":3 }` }) }), patient.http);
      await t.run(() => until("ready again", () => ready() >= 2));
      await t.count();
      const log = await t.whole();
      assert.ok(log.errors.some((e) => e.code === "core_crashed" && !e.fatal && /memory/.test(e.message)), JSON.stringify(log.errors));
      await t.end();
      patient.stop();
    });

    it("is not disturbed by callbacks that throw, any of them", async () => {
      const t = await connected(host);
      const r = await t.run(
        async (url, http, token) => {
          const control = (action) => fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
          const calls = {};
          const bad = (name) => () => {
            calls[name] = (calls[name] ?? 0) + 1;
            throw name === "error" ? { toString: () => { throw new Error("no text"); } } : new Error(`${name} on purpose`);
          };
          const h = await g.connect(url, {
            token,
            observe: { READY: bad("READY") },
            setup: (h) => {
              h.observeState(bad("state"));
              h.observeErrors(bad("error"));
              h.observeGaps(bad("gap"));
              h.observeSession(bad("session"));
              h.observe("*", bad("*"));
              h.observe("THROW", { update: bad("update") });
              h.once("THROW", bad("once"));
            },
          });
          const waited = h.waitFor("THROW", bad("predicate")).catch((e) => e.code);
          const request = h.requestGuildMembers({ guild_id: "0", query: "", limit: 1 }, { timeout: 50 }).catch((e) => e.code);
          await control({ action: "dispatch", event: "THROW", d: {} });
          const codes = [await waited, await request];
          await control({ action: "invalid_session", resumable: false });
          await until("a gap", () => calls.gap);
          const state = h.state;
          await h.close();
          const setup = await g.connect(url, { token, setup: bad("setup") }).catch((e) => e.message);
          return { calls, codes, state, setup, unhandled: log.unhandled };
        },
        documented.url,
        documented.http,
        documented.token,
      );
      assert.deepEqual(r.unhandled, []);
      for (const name of ["READY", "state", "error", "gap", "session", "*", "update", "once", "predicate", "setup"]) assert.ok(r.calls[name] > 0, `${name} was not called`);
      assert.equal(r.calls.once, 1);
      assert.deepEqual(r.codes, ["observer_threw", "timeout"]);
      assert.deepEqual([r.state, r.setup], ["ready", "setup on purpose"]);
      await t.end();
    });

    it("comes back after the page was blocked for longer than the server waits", async () => {
      const t = await connected(host); // and a patience of 3 s
      await t.count();
      await t.run(() => {
        for (const end = performance.now() + 6000; performance.now() < end; );
      });
      await t.count();
      const log = await t.whole();
      if (host === "worker") assert.equal(log.states.filter((s) => s === "ready").length, 1, "the Worker's heartbeats do not need the page");
      await t.end();
    });

    it("comes back after it was offline", async () => {
      const t = await connected(host);
      const cdp = await t.p.createCDPSession();
      const network = (offline) => cdp.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
      await t.count();
      await cdp.send("Network.enable");
      await network(true);
      // Open sockets outlive this in Chromium; a network that is gone does not.
      await documented.control({ action: "drop" });
      await t.run(() => until("the loss", () => log.states.at(-1) === "backoff" || ready() > 1));
      await t.count();
      await network(false);
      await t.run(() => until("ready again", () => ready() >= 2 && handle.state === "ready"));
      await t.count();
      await t.whole();
      await t.end();
    });

    it("comes back after the browser has frozen the page", async () => {
      const t = await connected(host);
      const cdp = await t.p.createCDPSession();
      await t.count();
      await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
      await new Promise((resolve) => setTimeout(resolve, 7000)); // longer than the server waits
      await t.count();
      await cdp.send("Page.setWebLifecycleState", { state: "active" });
      await t.whole();
      await t.end();
    });

    it("comes back from the back/forward cache, or anew", async () => {
      const t = await connected(host);
      await t.count();
      await t.run(() => addEventListener("pageshow", (e) => (log.persisted = e.persisted)));
      await t.p.goto(site.url + "/elsewhere");
      await t.count();
      await t.p.goBack();
      // Whether Chromium keeps a page with a socket is for it to decide; a page that
      // was not kept begins anew.
      const kept = await t.run(() => Boolean(globalThis.log));
      if (kept) {
        await t.whole();
        await t.end();
      } else await t.close();
      console.log(`the page was ${kept ? "" : "not "}kept in the back/forward cache, host ${host}`);
    });
  });
}
