// How the core is loaded, chosen and started again, and what connect refuses: the
// test plays the Worker and the browser around it.
//
//   node --test test/node/gateway.test.mjs

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "loading-test-"));
after(() => rmSync(dir, { recursive: true }));
const built = join(dir, "index.mjs");
execFileSync(join(root, "build/bin/esbuild"), ["web/src/index.ts", "--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--alias:base=./web/src/base.module.ts", "--alias:wasm_exec=./build/wasm_exec.mjs", '--define:VERSION="0"', `--outfile=${built}`], { cwd: root });

const MODULE = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
const URL_ = "wss://g.example/";

let browser;
let loads = 0;
/** The package as a page has it that has just been opened. */
const fresh = () => import(`${pathToFileURL(built)}?${++loads}`);

beforeEach(() => {
  browser = { workers: [], listeners: {}, locks: [], online: true };
  globalThis.location = new URL("https://page.example/");
  globalThis.addEventListener = (name, fn) => (browser.listeners[name] = fn);
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      get onLine() {
        return browser.online;
      },
      locks: { request: async (_name, _options, fn) => void browser.locks.push(fn) },
    },
  });
  globalThis.Worker = class {
    posted = [];
    constructor(url) {
      this.url = url;
      browser.workers.push(this);
      if (browser.online) return;
      setTimeout(() => {
        this.onerror({ message: "" });
        setTimeout(() => (this.failed = true));
      });
    }
    postMessage(message) {
      this.posted.push(message);
      if (message.type !== "load" || !browser.online) return;
      setTimeout(() => {
        this.onmessage({ data: { type: "locked" } });
        this.onmessage({ data: { type: "loaded", module: MODULE } });
      });
    }
    say(id, report) {
      this.onmessage({ data: [id, report] });
    }
    terminate() {}
    /** The browser ends it. */
    end() {
      browser.locks.pop()();
    }
  };
});

async function until(what, cond) {
  for (const end = Date.now() + 10_000; !cond(); await new Promise((r) => setTimeout(r, 2))) if (Date.now() > end) assert.fail(`waited in vain: ${what}`);
}

/** A handle that is ready. */
async function connected(lib) {
  const opened = lib.connect(URL_, { token: "token-of-alice" });
  await until("the Worker", () => browser.workers[0]?.posted.length === 2);
  browser.workers[0].say(1, { type: "state", state: "ready" });
  return opened;
}

test("a Worker that ends without a network is replaced when there is one, by what was loaded already", { timeout: 20_000 }, async () => {
  const lib = await fresh();
  const handle = await connected(lib);
  assert.equal(browser.workers[0].posted[0].source, new URL("./gateway.wasm", `${pathToFileURL(built)}`).href);
  const states = [];
  const errors = [];
  handle.observeState(({ state, retryAt }) => states.push([state, retryAt !== null]));
  handle.observeErrors(({ code, fatal }) => errors.push([code, fatal]));
  browser.online = false;
  browser.workers[0].end();
  await until("another try", () => states.length === 2);
  assert.deepEqual(states, [["backoff", false], ["backoff", true]]);
  assert.deepEqual(errors, [["core_crashed", false], ["load_failed", false]]);
  browser.online = true;
  browser.listeners.online();
  await until("another Worker", () => browser.workers.at(-1).posted.length === 2);
  const [load, open] = browser.workers.at(-1).posted;
  assert.ok(load.source instanceof WebAssembly.Module, String(load.source));
  assert.deepEqual([open.type, open.id, handle.state, lib.hostKind()], ["open", 1, "backoff", "worker"]);
  browser.workers.at(-1).say(1, { type: "state", state: "ready", resumed: true });
  assert.equal(handle.state, "ready");
  browser.workers.at(-1).say(1, { type: "state", state: "closed" });
  await handle.done;
});

test("a handle can be closed while there is no core", { timeout: 20_000 }, async () => {
  const lib = await fresh();
  const handle = await connected(lib);
  browser.online = false;
  browser.workers[0].end();
  await handle.close();
  assert.equal(await handle.done, null);
  await until("a Worker that does not load", () => browser.workers[1]?.failed);
  browser.online = true;
  const again = lib.connect(URL_, { token: "token-of-alice", signal: AbortSignal.timeout(5000) }).catch((e) => e);
  await until("another Worker", () => browser.workers.at(-1).posted.length === 2);
  assert.deepEqual(browser.workers.at(-1).posted.slice(1).map(({ type, id }) => [type, id]), [["open", 2]]);
  browser.workers.at(-1).say(2, { type: "state", state: "closed" });
  assert.equal((await again).code, "closed");
});

test("connect is given up while the core loads, and says so in its own words", { timeout: 5000 }, async () => {
  const lib = await fresh();
  const { fetch } = globalThis;
  globalThis.fetch = () => new Promise(() => {});
  try {
    lib.init({ host: "main" });
    const stop = new AbortController();
    setTimeout(() => stop.abort("enough"));
    for (const signal of [stop.signal, AbortSignal.abort("enough")]) {
      const error = await lib.connect(URL_, { token: "token-of-alice", signal }).catch((e) => e);
      assert.ok(error instanceof lib.GatewayError, String(error));
      assert.deepEqual([error.code, error.cause], ["aborted", "enough"]);
    }
  } finally {
    globalThis.fetch = fetch;
  }
});

test("what setup aborts is not connected", { timeout: 5000 }, async () => {
  const lib = await fresh();
  const stop = new AbortController();
  const error = await lib.connect(URL_, { token: "token-of-alice", signal: stop.signal, setup: () => stop.abort() }).catch((e) => e);
  assert.equal(error.code, "aborted");
  assert.deepEqual(browser.workers[0].posted.map(({ type }) => type), ["load"]);
});

test("the URL of a gateway is checked, and not repeated", async () => {
  const lib = await fresh();
  for (const url of ["wss://user:hunter2@g.example", "wss://hunter2@g.example", "user:hunter2@g.example", "wss://g.example:hunter2", "https://g.example/hunter2", "hunter2"]) {
    const error = await lib.connect(url, { token: "token-of-alice" }).catch((e) => e);
    assert.equal(error.code, "invalid_url", url);
    assert.ok(!error.message.includes("user:") && !error.message.includes("hunter2"), error.message);
  }
});

test("attempts are counted from one", async () => {
  const lib = await fresh();
  for (const attempts of [0, -1, 1.5, NaN, "3"]) assert.equal((await lib.connect(URL_, { token: "token-of-alice", attempts }).catch((e) => e)).code, "invalid_option");
});

test("to load the core again with what is the default, or the same, is no other option", async () => {
  const lib = await fresh();
  await lib.init();
  await lib.init({ host: "worker" });
  await lib.init({ wasm: new URL("./gateway.wasm", pathToFileURL(built)), worker: new URL("./worker.js", pathToFileURL(built)).href });
  for (const other of [{ host: "main" }, { wasm: "/elsewhere.wasm" }, { worker: "worker.js" }, { wasm: new ArrayBuffer(8) }]) await assert.rejects(lib.init(other), { code: "invalid_option" });
  await assert.rejects(lib.init({ wasm: "http://[" }), { code: "invalid_option" });
  assert.equal(browser.workers.length, 1);
});
