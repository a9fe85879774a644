// A page that is hidden for longer than the server's patience.
//
// Chromium holds back the timers of hidden pages: chained ones come once a
// minute, which is more than servers wait for a heartbeat. Headless pages are
// never hidden, so this runs in a window on a virtual screen, with the time until
// throttling begins shortened.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { it } from "node:test";
import { BLANK, browser, gateway, web } from "./harness.mjs";

// Throttling begins after 40 s or so. A Spacebar server waits 45 s for a heartbeat.
const FULL = process.env.GATEWAY_SOAK === "full";
const HIDDEN = FULL ? 600_000 : 115_000; // ms
const INTERVAL = FULL ? 30 : 10; // s; servers wait half as long again

/** A virtual screen. */
async function screen() {
  const x = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const [display] = await Promise.race([once(x.stdio[3], "data"), once(x, "error").then(([e]) => Promise.reject(e))]);
  return { display: `:${String(display).trim()}`, stop: () => x.kill() };
}

it("stays connected while hidden, in both hosts, where a plain client does not", async () => {
  const x = await screen();
  const site = await web({ pages: { "/": BLANK } });
  const srv = await gateway("-profile", "documented", "-interval", `${INTERVAL}s`);
  const b = await browser({
    headless: false,
    args: ["--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10", "--window-size=700,500"],
    env: { DISPLAY: x.display },
    ignoreDefaultArgs: ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"],
  });
  try {
    const pages = {};
    for (const kind of ["worker", "main", "plain"]) {
      const p = (pages[kind] = await b.newPage());
      await p.goto(site.url + "/");
      await p.evaluate(
        async (kind, url, token, interval) => {
          globalThis.lost = [];
          globalThis.gaps = [];
          if (kind === "plain") {
            // What a page does that knows no better.
            const socket = new WebSocket(url + "/?v=9&encoding=json");
            const beat = () => {
              socket.send('{"op":1,"d":null}');
              setTimeout(beat, interval);
            };
            socket.onmessage = ({ data }) => {
              const m = JSON.parse(data);
              if (m.op === 10) {
                socket.send(JSON.stringify({ op: 2, d: { token, properties: {}, capabilities: 0 } }));
                setTimeout(beat, interval);
              }
            };
            socket.onclose = (e) => lost.push(e.code);
            return;
          }
          const g = await import("/dist/index.js");
          await g.init({ host: kind });
          globalThis.handle = await g.connect(url, {
            token,
            setup: (h) => {
              h.observeState((s) => s.state === "backoff" && lost.push(s.error?.message));
              h.observeErrors((e) => lost.push(e.message));
            },
          });
          globalThis.events = 0;
          handle.observe("TICK", () => events++);
        },
        kind,
        srv.url,
        srv.token,
        INTERVAL * 1000,
      );
    }
    // Another tab comes to the front.
    const front = await b.newPage();
    await front.bringToFront();
    for (const [kind, p] of Object.entries(pages)) {
      await p.waitForFunction(() => document.visibilityState === "hidden", { polling: 200, timeout: 10_000 }).catch(() => assert.fail(`the ${kind} page is not hidden`));
    }
    await new Promise((resolve) => setTimeout(resolve, HIDDEN));
    await srv.control({ action: "dispatch", event: "TICK", d: {} });
    const r = {};
    for (const [kind, p] of Object.entries(pages)) {
      r[kind] = await p.evaluate(() => ({ lost, visible: document.visibilityState, state: globalThis.handle?.state, events: globalThis.events }));
    }
    assert.deepEqual(r.plain.lost, [4009], "the plain client should have been lost, or this test shows nothing");
    for (const kind of ["worker", "main"]) {
      assert.deepEqual([kind, r[kind].lost, r[kind].state, r[kind].visible], [kind, [], "ready", "hidden"]);
      await pages[kind].waitForFunction(() => events === 1, { polling: 200, timeout: 70_000 });
    }
  } finally {
    await b.close();
    site.stop();
    srv.stop();
    x.stop();
  }
});
