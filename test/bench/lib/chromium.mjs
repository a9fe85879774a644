// Chromium for measuring, and what its threads cost.

import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { browser, BLANK } from "../../browser/harness.mjs";
import { bin, root, sleep, work } from "./env.mjs";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".frames": "application/octet-stream", ".json": "application/json" };

// Isolated pages have clocks of 5 µs instead of 100.
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin" };

/**
 * Serves what pages need: a blank one, the bundles and corpora of build/bench,
 * and the package, as it was when the benchmark began.
 */
export async function site() {
  rmSync(`${work}dist`, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  cpSync(`${root}web/dist`, `${work}dist`, { recursive: true });
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const file = normalize(join(work, path));
    const type = path === "/" ? "text/html" : TYPES[extname(path)];
    if (!type || !file.startsWith(work) || (path !== "/" && !existsSync(file))) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store", ...ISOLATED });
    response.end(path === "/" ? BLANK : readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Starts the server of ../server; returns its host and port. */
export async function gateway() {
  const child = spawn(bin("benchserver"), ["-dir", work], { stdio: ["pipe", "pipe", "inherit"] });
  const address = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.once("data", (data) => resolve(String(data).trim()));
  });
  child.removeAllListeners("exit");
  return { address, go: (id) => fetch(`http://${address}/go/${id}`), stop: () => child.kill() };
}

/**
 * A Chromium in which pages measure themselves. Left to itself, the driver has every
 * thread with a socket describe each message to it, which costs more than receiving
 * the message does.
 */
export async function chromium() {
  const b = await browser({ args: ["--enable-precise-memory-info", "--js-flags=--expose-gc"], networkEnabled: false });
  version = await b.version();
  return b;
}

/** Which Chromium that is, once one has been started. */
export let version;

/** A fresh page of the site with the bundle of ../page; fails on uncaught errors. */
export async function page(b, siteURL) {
  const p = await b.newPage();
  let failed;
  p.on("pageerror", (error) => (failed ??= error));
  p.on("console", (m) => (m.type() === "error" || m.type() === "warn") && console.error(`page: ${m.text()}`));
  await p.goto(siteURL);
  await p.addScriptTag({ url: "/page.js" });
  return {
    p,
    async run(fn, ...args) {
      const result = await p.evaluate(fn, ...args);
      if (failed) throw failed;
      return result;
    },
    close: () => p.close(),
  };
}

/**
 * What the threads of a page's renderer process have used, in ms of CPU: its main
 * thread, and all of them together. The kernel keeps the run time of every thread
 * to the nanosecond in /proc/PID/task/TID/schedstat; nothing in the page, and none
 * of Chromium's own tracing, takes part in that, so that nothing is added to what
 * is measured, and garbage collection, compilation and the socket's share are in it.
 */
export class Renderer {
  #pid;
  #main;

  /** Finds the process of a page: the one whose main thread is busy while the page is. */
  static async of(p) {
    const session = await p.browser().target().createCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    const pids = processInfo.filter((i) => i.type === "renderer").map((i) => i.id);
    // Others are busy, too, while they start: the page's is so three times.
    let pid;
    for (let turn = 0, won = 0; won < 3; turn++) {
      if (turn > 50) throw new Error("the process of the page was not found");
      const before = new Map(pids.map((pid) => [pid, cpu(pid, pid)]));
      const used = (pid) => cpu(pid, pid) - before.get(pid);
      await p.evaluate(() => {
        for (const end = performance.now() + 60; performance.now() < end; );
      });
      const [first, second] = pids.toSorted((a, b) => used(b) - used(a));
      if (used(first) < 5 || (second && used(first) < 3 * used(second))) continue;
      won = first === pid ? won + 1 : 1;
      pid = first;
    }
    const r = new Renderer();
    r.#pid = pid;
    r.#main = pid; // the main thread has the number of the process
    return r;
  }

  /** CPU used so far, in ms: { main, all, threads }. */
  cpu() {
    const threads = new Map();
    for (const tid of readdirSync(`/proc/${this.#pid}/task`)) threads.set(tid, cpu(this.#pid, tid));
    return { main: threads.get(String(this.#main)), threads };
  }

  /** What was used since an earlier reading, in ms. Threads that ended meanwhile are not in it. */
  since(before) {
    const now = this.cpu();
    let all = 0;
    for (const [tid, used] of now.threads) all += used - (before.threads.get(tid) ?? 0);
    return { main: now.main - before.main, all };
  }

  /** Waits until the process has nothing to do. */
  async rest() {
    for (let turn = 0; turn < 100; turn++) {
      const before = this.cpu();
      await sleep(100);
      if (this.since(before).all < 3) return;
    }
    throw new Error("the page does not come to rest");
  }

  /** Memory of the process that is its own, in bytes. */
  memory() {
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    return Number(/^RssAnon:\s+(\d+)/m.exec(status)[1]) * 1024;
  }
}

function cpu(pid, tid) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return 0; // it has ended
  }
}
