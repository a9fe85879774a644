// The demo and the example pages, as somebody sees them who has just built them,
// and that nothing they show, print or keep holds a token.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { browser, page } from "./harness.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const WRONG = "wrong-token-typed-by-hand";

let b, demo, url, printed;
before(async () => {
  demo = spawn(`${root}build/bin/demo`, ["-addr", "127.0.0.1:0", "-web", `${root}web`, "-life", "40"], { stdio: ["ignore", "pipe", "pipe"] });
  printed = "";
  await new Promise((resolve, reject) => {
    demo.once("error", reject);
    demo.once("exit", (code) => reject(new Error(`the demo ended with ${code}: ${printed}`)));
    for (const out of [demo.stdout, demo.stderr]) {
      out.on("data", (data) => {
        printed += data;
        url = /at\s+(http:\S+)/.exec(printed)?.[1];
        if (printed.includes("Stop it")) resolve();
      });
    }
  });
  demo.removeAllListeners("exit");
  b = await browser();
});
after(async () => {
  await b?.close();
  demo?.kill();
});

/** Opens a page of the demo; `said` is what it printed, `shows` waits until an element shows a text. */
async function open(path) {
  const t = await page(b, "about:blank");
  const said = [];
  t.p.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
  await t.p.evaluateOnNewDocument(() => {
    globalThis.violations = [];
    addEventListener("securitypolicyviolation", (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  });
  await t.p.goto(new URL(path, url).href);
  const shows = (selector, text) =>
    t.p.waitForFunction((selector, text) => document.querySelector(selector)?.textContent.includes(text), { timeout: 20_000 }, selector, text).catch(async (error) => {
      throw new Error(`${selector} does not show "${text}": ${await t.p.$eval(selector, (e) => e.textContent)}`, { cause: error });
    });
  /** What could give a secret away: all that is shown, kept, loaded or printed. */
  const traces = async () =>
    said.join("\n") +
    (await t.run(() =>
      JSON.stringify([
        document.documentElement.outerHTML,
        document.title,
        location.href,
        document.cookie,
        { ...localStorage },
        { ...sessionStorage },
        history.state,
        performance.getEntries().map((e) => e.name),
        globalThis.violations,
      ]),
    ));
  return { ...t, said, shows, traces };
}

const token = async (t) => (await (await fetch(new URL("/embedded.json", t.p.url()))).json()).token;

describe("the demo page", () => {
  it("holds a session through trouble, and gives no token away", async () => {
    const t = await open("/");
    const secret = await token(t);
    await t.shows("#state", "ready");
    await t.shows("#host", "worker");
    await t.shows("#log", "a new session");
    await t.p.waitForFunction(() => Number(document.getElementById("total").textContent.replace(/\D/g, "")) > 30);

    for (const [button, text] of [
      ["Presence: dnd", "Presence: dnd: sent"],
      ["Request members", "members came"],
      ["Lazy request", "Lazy request: sent"],
      ["Join voice", "Join voice: sent"],
      ["Last messages", "messages came"],
    ]) {
      await t.run((button) => [...document.querySelectorAll("#sends button")].find((b) => b.textContent === button).click(), button);
      await t.shows("#log", text);
    }
    // What cannot be sent is said, and nothing is shown of what was to be.
    await t.run((payload) => {
      document.getElementById("op").value = "2";
      document.getElementById("payload").value = payload;
      document.getElementById("sendop").click();
    }, JSON.stringify({ token: WRONG }));
    await t.shows("#log", "Send: ");
    await t.run(() => (document.getElementById("payload").value = "{}"));

    const trouble = (name) => t.run((name) => [...document.querySelectorAll("[data-control]")].find((b) => b.textContent === name).click(), name);
    await trouble("Cut the line");
    await t.shows("#log", "the session was resumed");
    await trouble("Broken JSON");
    await t.shows("#log", "malformed_message");
    await trouble("End the session");
    await t.shows("#log", "Gap: ");
    await t.shows("#state", "ready");

    await t.p.waitForSelector("#events li");
    await t.run(() => [...document.querySelectorAll("#events li")].at(-1).click());
    await t.shows("#dmeta", "characters");
    JSON.parse(await t.p.$eval("#dpayload", (e) => e.textContent));

    await t.run(() => document.getElementById("close").click());
    await t.shows("#state", "closed");
    const seen = await t.traces();
    assert.ok(seen.includes("malformed_message"), "the search looks at what is shown");
    for (const s of [secret, WRONG]) assert.ok(!seen.includes(s), `the page gives a token away: ${seen.slice(Math.max(0, seen.indexOf(s) - 200), seen.indexOf(s))}`);
    assert.deepEqual(await t.run(() => violations), []);
    assert.deepEqual(t.said, []);
    await t.close();
  });

  it("connects in every encoding and compression", async () => {
    const t = await open("/demo/");
    await t.shows("#state", "ready");
    for (const encoding of ["json", "etf"]) {
      for (const compress of ["none", "zlib-stream", "zstd-stream", "auto"]) {
        await t.run(() => document.getElementById("close").click());
        await t.shows("#state", "closed");
        await t.run(
          (encoding, compress) => {
            document.getElementById("encoding").value = encoding;
            document.getElementById("compress").value = compress;
            document.getElementById("open").click();
          },
          encoding,
          compress,
        );
        await t.shows("#state", "ready");
      }
    }
    assert.deepEqual(t.said, []);
    await t.close();
  });

  it("says that a token is wrong, and does not show it", async () => {
    const t = await open("/demo/");
    await t.shows("#state", "ready");
    await t.run(() => document.getElementById("close").click());
    await t.shows("#state", "closed");
    await t.run((wrong) => {
      document.getElementById("token").value = wrong;
      document.getElementById("open").click();
    }, WRONG);
    await t.shows("#log", "4004");
    await t.shows("#state", "closed");
    assert.ok(!(await t.traces()).includes(WRONG), "the page gives the token away");
    await t.close();
  });
});

describe("the example pages", () => {
  for (const [path, text] of [
    ["/demo/gateway_simple/", "Logged in as alice"],
    ["/demo/gateway_observers/", "READY: hello alice"],
  ]) {
    it(`${path} works`, async () => {
      const t = await open(path);
      const secret = await token(t);
      await t.shows("#out", text);
      assert.ok(!(await t.traces()).includes(secret), "the page gives the token away");
      assert.deepEqual(await t.run(() => violations), []);
      await t.close();
    });
  }
});
