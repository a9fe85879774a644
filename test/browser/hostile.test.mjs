// The corpus of hostile servers (test/hostile) in Chromium, in both hosts.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { BLANK, browser, page, program, web } from "./harness.mjs";

const TOKEN = "token-of-the-hostile-tests";
const LOOP = 4000; // ms that the client is left with a server which never comes to rest
const PATIENCE = 90_000;
const MEMORY = 64 << 20; // of the core, beside the receive limit

let b, site;
before(async () => {
  b = await browser({ args: ["--ignore-certificate-errors"] });
  site = await web({ pages: { "/": BLANK } });
});
after(async () => {
  await b?.close();
  site?.stop();
});

for (const host of ["worker", "main"]) {
  it(`survives hostile servers, in the ${host}`, async () => {
    // A server of its own: most cases do their worst to the first connection.
    const server = await program("hostile", [], /\n/);
    const http = server.text.trim().split(" ")[1];
    const counts = async (name) => (await fetch(`${http}/counts?case=${name}`)).json();
    const cases = (await (await fetch(`${http}/cases`)).json()).filter((c) => !c.Native);
    const t = await page(b, site.url + "/");
    await t.run(async (host) => {
      globalThis.g = await import("/dist/index.js");
      await g.init({ host });
      globalThis.until = async (cond, ms) => {
        for (const end = Date.now() + ms; !cond(); await new Promise((r) => setTimeout(r, 5))) if (Date.now() > end) return false;
        return true;
      };
      globalThis.play = async (c, token, patience, loop) => {
        const errors = [];
        // Of a flood its beginning and its end will do.
        const seen = (e) => e && (errors[Math.min(errors.length, 99)] = { typed: e instanceof g.GatewayError, code: e.code, message: e.message });
        let alive = false;
        let handle;
        const connecting = g.connect(c.URL, {
          token,
          compress: c.Compress || "none",
          encoding: c.Encoding || "json",
          maxReceiveSize: c.MaxReceive,
          setup: (h) => {
            handle = h;
            h.observeErrors(seen);
            h.observeState((s) => seen(s.error));
            h.observeGaps((gap) => seen(gap.reason));
            h.observe("*", (d, e) => void [e.type, e.seq, e.size, d]);
            h.observe(["MESSAGE_CREATE", "GUILD_CREATE", "READY"], () => {});
            h.observe("STILL_HERE", () => (alive = true));
          },
        });
        const connected = await connecting.then(() => true, (e) => (seen(e), false));
        const wrong = [];
        if (c.Loop) await until(() => handle.state === "closed" && wrong.push("the handle ended"), loop);
        else if (c.Fatal) (await until(() => handle.state === "closed", patience)) || wrong.push("the handle does not end");
        else if (!connected) wrong.push("no session");
        else {
          (await until(() => alive, patience)) || wrong.push("no sign of life");
          await new Promise((r) => setTimeout(r, c.For / 1e6));
        }
        if (c.Want && !(await until(() => errors.some((e) => e.code === c.Want), patience))) wrong.push(`no ${c.Want}`);
        const names = handle.state === "closed" ? [] : Object.keys((await handle.stats()).events);
        await handle.close();
        return { wrong, errors, names: names.length, polluted: {}.polluted ?? [].polluted };
      };
    }, host);
    const left = [...cases];
    const problems = [];
    const some = async () => {
      for (let c; (c = left.shift()); ) {
        const fail = (what) => problems.push(`${c.Name}: ${what}`);
        const began = performance.now();
        const r = await t.run((c, ...rest) => play(c, ...rest), c, TOKEN, PATIENCE, LOOP);
        for (const what of r.wrong) fail(`${what}; errors: ${JSON.stringify(r.errors.slice(0, 5))}`);
        if (r.polluted !== undefined) fail("Object.prototype is polluted");
        for (const e of r.errors) {
          if (!e.typed || !e.code) fail(`an error without a type: ${e.message}`);
          else if (e.message.length > 1000) fail(`an error is ${e.message.length} letters long`);
          else if (/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u.test(e.message)) fail(`an error is not printable: ${JSON.stringify(e.message)}`);
          else if (e.message.includes(TOKEN)) fail("an error shows the token");
        }
        const now = await counts(c.Name);
        const dials = now.Requests;
        const sends = Object.values(now.Ops).reduce((a, n) => a + n, 0);
        if (dials > c.Dials && !c.Name.startsWith("http-")) fail(`${dials} dials, at most ${c.Dials}`); // browsers try HTTP again by themselves
        const seconds = (performance.now() - began) / 1000;
        const most = c.Sends * Math.ceil(seconds / 60) + (c.Brisk ? Math.ceil(seconds) : 0);
        if (sends > most) fail(`${sends} sends in ${seconds.toFixed(1)} s, at most ${most}`);
      }
    };
    await Promise.all(Array.from({ length: 12 }, some));
    assert.deepEqual(problems, []);
    assert.equal((await counts("/")).Requests, 0, "requests went where a hostile server sent the client");
    const { slots, cores, memory, heap } = await t.run(() => g.inspectForTest());
    console.log(`${cases.length} cases in the ${host}: WebAssembly memory ${(memory / 2 ** 20).toFixed(1)} MB, ${(heap / 2 ** 20).toFixed(1)} MB of it alive`);
    assert.deepEqual([slots, cores], [0, 0]);
    const largest = Math.max(...cases.map((c) => c.MaxReceive));
    assert.ok(memory <= MEMORY + 6 * largest, `the WebAssembly memory has grown to ${memory} bytes`);
    await t.close();
    server.stop();
  });
}
