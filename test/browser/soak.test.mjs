// Many of everything in one page: nothing may be left over, and nothing may get
// to somebody else. GATEWAY_SOAK=full (./build.sh soak) makes it ten thousand
// connections, a million events, and a hundred handles for ten minutes.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { BLANK, browser, gateway, page, web } from "./harness.mjs";

const FULL = process.env.GATEWAY_SOAK === "full";
const CYCLES = FULL ? 10_000 : 200;
const EVENTS = FULL ? 1_000_000 : 50_000;
const HANDLES = FULL ? 100 : 20;
const TROUBLE = FULL ? 600_000 : 10_000; // ms

let b, site;
before(async () => {
  b = await browser();
  site = await web({ pages: { "/": BLANK } });
});
after(async () => {
  await b?.close();
  site?.stop();
});

async function loaded(host) {
  const t = await page(b, site.url + "/");
  await t.run(async (host) => {
    globalThis.g = await import("/dist/index.js");
    await g.init({ host });
  }, host);
  const cdp = await t.p.createCDPSession();
  /** What is alive, on both sides of the bridge. */
  t.alive = async () => {
    // Go's finalizers, which let go of JavaScript values, run after a collection.
    for (let i = 0; i < 3; i++) await t.run(() => g.inspectForTest());
    await cdp.send("HeapProfiler.collectGarbage");
    const { usedSize } = await cdp.send("Runtime.getHeapUsage");
    const { slots, cores, values, memory, heap } = await t.run(() => g.inspectForTest());
    return { slots, cores, values, memory, heap, page: usedSize };
  };
  return t;
}

/** Holds that `then` is what `first` was, give or take what caches and counters take. */
function same(first, then, what) {
  console.log(`${what}: ${Object.keys(first).map((k) => `${k} ${first[k]} -> ${then[k]}`).join(", ")}`);
  for (const exact of ["slots", "cores"]) assert.equal(then[exact], first[exact], `${what}: ${exact}`);
  // Go collects at 4 MB at the earliest, and memory never shrinks: what counts is where it ends.
  assert.ok(then.memory <= Math.max(first.memory, 12 * 1024 * 1024), `${what}: the WebAssembly memory has grown from ${first.memory} to ${then.memory} bytes`);
  assert.ok(then.values <= first.values + 4, `${what}: Go holds ${then.values} JavaScript values, and held ${first.values}`);
  assert.ok(then.heap <= first.heap + 256 * 1024, `${what}: ${then.heap} bytes are alive in Go, and were ${first.heap}`);
  assert.ok(then.page <= first.page + 1024 * 1024, `${what}: ${then.page} bytes are alive in the page, and were ${first.page}`);
}

for (const host of ["worker", "main"]) {
  it(`leaves nothing behind after ${CYCLES} connections, in the ${host}`, async () => {
    const srv = await gateway("-profile", "documented");
    const t = await loaded(host);
    const cycles = (n) =>
      t.run(
        async (url, token, n) => {
          let left = n;
          const one = async () => {
            while (left-- > 0) {
              const h = await g.connect(url, { token, compress: left % 2 ? "none" : "zstd-stream", observe: { READY: () => {} } });
              const clone = h.clone();
              clone.observe(["MESSAGE_CREATE", "*"], () => {});
              await h.sendUpdatePresence({ status: "idle", since: null, activities: [], afk: false });
              await h.close();
            }
          };
          await Promise.all(Array.from({ length: 6 }, one));
        },
        srv.url,
        srv.token,
        n,
      );
    await cycles(60);
    const first = await t.alive();
    const began = performance.now();
    // In parts, as the test's own promises are a part of the page's memory.
    for (let done = 0; done < CYCLES; done += 200) await cycles(200);
    same(first, await t.alive(), `${CYCLES} connections in ${((performance.now() - began) / 1000).toFixed(0)} s, ${host}`);
    const { dials } = await srv.control({ action: "counters" });
    assert.ok(dials >= CYCLES + 60);
    await t.close();
    srv.stop();
  });

  it(`leaves nothing behind after ${EVENTS} events, in the ${host}`, async () => {
    const srv = await gateway("-profile", "documented");
    const t = await loaded(host);
    await t.run(
      async (url, token) => {
        globalThis.seen = 0;
        globalThis.handle = await g.connect(url, { token, compress: "none" });
        handle.observe("MESSAGE_CREATE", (d) => (seen += d.content === "x" ? 1 : 0));
      },
      srv.url,
      srv.token,
    );
    const flood = async (n) => {
      // One kind is observed, the other is not.
      for (const event of ["MESSAGE_CREATE", "TYPING_START"]) {
        const until = n + (await t.run(async (event) => (await handle.stats()).events[event] ?? 0, event));
        await srv.control({ action: "flood", n, event, d: { id: "1", content: "x", author: { id: "2", username: "bob" }, text: "y".repeat(200) } });
        await t.p.waitForFunction(async (event, until) => ((await handle.stats()).events[event] ?? 0) >= until, { polling: 50, timeout: 300_000 }, event, until);
      }
      const { MESSAGE_CREATE } = await t.run(async () => (await handle.stats()).events);
      assert.equal(await t.run(() => seen), MESSAGE_CREATE);
    };
    await flood(10_000);
    const first = await t.alive();
    const began = performance.now();
    for (let done = 0; done < EVENTS / 2; done += 25_000) await flood(25_000);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    same(first, await t.alive(), `${EVENTS} events in ${seconds} s, ${host}`);
    assert.equal(await t.run(() => handle.state), "ready");
    await t.run(() => handle.close());
    await t.close();
    srv.stop();
  });
}

it(`keeps ${HANDLES} handles apart, under faults, for ${TROUBLE / 1000} s`, async () => {
  const srv = await gateway("-profile", "documented", "-interval", "3s");
  const t = await loaded("worker");
  await t.run(
    async (url, token, n) => {
      globalThis.wrong = [];
      globalThis.handles = [];
      globalThis.counts = { events: 0, gaps: 0, resumed: 0, errors: {} };
      for (let i = 0; i < n; i++) {
        const mine = new Set();
        const last = new Map();
        handles.push(
          await g.connect(url, {
            token,
            compress: ["none", "zlib-stream", "zstd-stream"][i % 3],
            encoding: i % 2 ? "etf" : "json",
            setup: (h) => {
              h.observeSession((s) => s && mine.add(s.id));
              h.observeGaps(() => counts.gaps++);
              h.observeState((s) => s.resumed && counts.resumed++);
              h.observeErrors((e) => (counts.errors[e.code] = (counts.errors[e.code] ?? 0) + 1));
              h.observe("TAG", ({ session, n }) => {
                counts.events++;
                if (!mine.has(session)) wrong.push(`handle ${i} was told of a session that it never had`);
                if (n <= (last.get(session) ?? -1)) wrong.push(`handle ${i} got ${n} after ${last.get(session)}`);
                last.set(session, n);
              });
            },
          }),
        );
      }
    },
    srv.url,
    srv.token,
    HANDLES,
  );
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const faults = { drop: 0, reconnect: 0, close: 0, invalid_session: 0, freeze: 0, crash: 0 };
  const end = Date.now() + TROUBLE;
  let crashAt = Date.now() + TROUBLE / (FULL ? 6 : 2);
  for (let n = 0; Date.now() < end; n++) {
    const sessions = (await t.run(() => handles.map((h) => h.session?.id))).filter(Boolean);
    await Promise.all(sessions.map((session) => srv.control({ action: "dispatch", session, event: "TAG", d: { session, n } })));
    const kind = ["drop", "reconnect", "close", "invalid_session", "freeze"][random(5)];
    const session = sessions[random(sessions.length)];
    const extra = { close: { code: 4000 }, invalid_session: { resumable: false } }[kind] ?? {};
    await srv.control({ action: kind, session, ...extra });
    faults[kind]++;
    if (Date.now() > crashAt) {
      crashAt += TROUBLE / (FULL ? 6 : 2);
      faults.crash++;
      await t.run(() => g.crashForTest());
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await t.p.waitForFunction(() => handles.every((h) => h.state === "ready"), { polling: 100, timeout: 120_000 });
  const r = await t.run(async () => {
    await Promise.all(handles.map((h) => h.close()));
    return { wrong, counts, inspection: await g.inspectForTest() };
  });
  console.log(`${HANDLES} handles, ${TROUBLE / 1000} s: faults ${JSON.stringify(faults)}, ${JSON.stringify(r.counts)}`);
  assert.deepEqual(r.wrong, []);
  assert.ok(r.counts.events > HANDLES && r.counts.gaps > 0 && r.counts.resumed > 0, "the test shows nothing");
  assert.deepEqual([r.inspection.slots, r.inspection.cores], [0, 0]);
  await t.close();
  srv.stop();
});
