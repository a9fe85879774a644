// What the browser tests share: Chromium, a web server for the pages, and the
// fake gateway as a process of its own.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(join(root, "web/package.json"));
const puppeteer = require("puppeteer-core");

export const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!CHROMIUM) throw new Error("no Chromium found: ./build.sh test installs it, or set CHROMIUM to its path");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/**
 * Starts Chromium; it is closed, and its profile removed, by close(). Without
 * `networkEnabled`, nobody is told of requests and messages.
 */
export async function browser({ args = [], headless = true, env = {}, ignoreDefaultArgs = [], networkEnabled = true } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "gateway-test-"));
  const b = await puppeteer.launch({
    executablePath: CHROMIUM,
    headless,
    userDataDir: profile,
    ignoreDefaultArgs,
    networkEnabled,
    args: [...FLAGS, ...args],
    env: { ...process.env, ...env },
    protocolTimeout: 600_000,
  });
  const close = b.close.bind(b);
  b.close = async () => {
    await close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return b;
}

const children = new Set();
process.once("exit", () => children.forEach((child) => child.kill()));
process.once("SIGTERM", () => process.exit(1)); // what the runner sends to a file that takes too long

/**
 * Starts one of the programs in build/bin and returns what it prints, once that
 * matches `ready`. It ends with stop(), at the latest with the tests: a test that
 * fails before it stops its server leaves nothing that keeps the others waiting.
 */
export async function program(name, args, ready) {
  const child = spawn(join(root, "build/bin", name), args, { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  child.once("close", () => children.delete(child));
  const text = await new Promise((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
    child.stdout.on("data", (data) => {
      text += data;
      if (ready.test(text)) resolve(text);
    });
  });
  child.removeAllListeners("exit");
  child.unref();
  child.stdout.unref();
  return { text, stop: () => child.kill() };
}

/**
 * Starts a fake gateway. `control(action)` rules it; `closed(session)` is what it
 * knows of the session's last connection once that has ended there, which is later
 * than in the client.
 */
export async function gateway(...flags) {
  const { text: lines, stop } = await program("fakegateway", ["-control", ...flags], /tokens.*\n/);
  const url = /gateway\s+(\S+)/.exec(lines)[1];
  const http = /http\s+(\S+)/.exec(lines)[1];
  async function control(action) {
    const response = await fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`control ${action.action}: ${answer.error}`);
    return answer;
  }
  async function closed(session) {
    for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((r) => setTimeout(r, 5))) {
      const conn = (await control({ action: "state" })).conns.findLast((c) => c.session === session);
      if (conn?.closed_by) return conn;
    }
    throw new Error(`waited in vain: the end of session ${session}`);
  }
  return { url, http, token: /tokens\s+(\S+)/.exec(lines)[1], control, closed, stop };
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css", ".map": "application/json", ".svg": "image/svg+xml" };

/**
 * Serves web/ (the built package) and the pages given as { path: html }. Every
 * answer has the headers given; `types` overrides media types by extension, and
 * `missing` lists paths that are not there.
 */
export async function web({ pages = {}, headers = {}, types = {}, missing = [] } = {}) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const send = (type, body) => {
      response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store", ...headers });
      response.end(body);
    };
    if (path in pages) return send("text/html", pages[path]);
    const file = normalize(join(root, "web", path));
    const type = { ...TYPES, ...types }[extname(path)];
    if (missing.includes(path) || !type || !file.startsWith(join(root, "web")) || !existsSync(file)) {
      response.writeHead(404);
      response.end();
      return;
    }
    send(type, readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export const BLANK = '<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">';

/**
 * Opens a page that fails its test on any uncaught error, and runs functions in
 * it: `run(fn, ...args)`.
 */
export async function page(b, url) {
  const p = await b.newPage();
  const errors = [];
  p.on("pageerror", (error) => errors.push(String(error)));
  await p.goto(url);
  return {
    p,
    errors,
    run: (fn, ...args) => p.evaluate(fn, ...args),
    async close() {
      await p.close();
      if (errors.length > 0) throw new Error(`uncaught in the page: ${errors.join("; ")}`);
    },
  };
}

/** Names of the captures and their texts, with what each must decode to. */
export function captures(names) {
  return names.map((name) => {
    const dir = join(root, "test/captures");
    const text = readFileSync(join(dir, `${name}.jsonl`), "utf8");
    const expected = readFileSync(join(dir, `${name}.expected.jsonl`), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const head = JSON.parse(text.slice(0, text.indexOf("\n")));
    return { name, text, expected, query: new URLSearchParams(head.query.replace(/^[^?]*\?/, "")), close: head.close };
  });
}
