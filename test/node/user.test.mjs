// web/src/user.ts with a network that is made up.
//
//   go -C test/tools build -o "$PWD/build/bin/esbuild" github.com/evanw/esbuild/cmd/esbuild
//   node --test test/node/user.test.mjs
//
// The test bundles the source itself, without gateway.ts, in whose place it puts
// its own connect:
//
//   echo 'export * from "./web/src/user.ts"; export { GatewayError } from "./web/src/errors.ts"' |
//     build/bin/esbuild --bundle --format=esm --target=es2022 '--external:*/gateway.js' --outfile=DIR/user.mjs

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, mock, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "user-test-"));
after(() => rmSync(dir, { recursive: true }));
execFileSync(join(root, "build/bin/esbuild"), ["--bundle", "--format=esm", "--target=es2022", "--external:*/gateway.js", "--log-level=warning", `--outfile=${join(dir, "user.mjs")}`], {
  cwd: root,
  input: 'export * from "./web/src/user.ts"; export { GatewayError } from "./web/src/errors.ts"',
});
writeFileSync(join(dir, "package.json"), '{"type":"module"}');
writeFileSync(
  join(dir, "gateway.js"),
  `export const connect = (...args) => globalThis.fakeConnect(...args);
  export const CONNECT = ${/const SPAWN = (\[.*?\])/.exec(readFileSync(join(root, "web/src/gateway.ts"), "utf8"))[1]}.concat("token", "identify");`,
);
const lib = await import(pathToFileURL(join(dir, "user.mjs")));
const { discover, login, register, withToken, gatewayBot, shardId, connectShards, gatewayOptions, GatewayError } = lib;

// ------------------------------------------------------------ what is made up

const CLIENT = "/.well-known/spacebar/client";
const WELL_KNOWN = "/.well-known/spacebar";
const DOMAINS = "/api/policies/instance/domains";
const GATEWAY = "/api/v9/gateway";
const STEPS = [CLIENT, WELL_KNOWN, DOMAINS, GATEWAY];

const PASSWORD = "correct horse";
const alice = { login: "alice@example.com", password: PASSWORD };

/** The answers of a Spacebar server at http://i.example. */
const spacebar = {
  [CLIENT]: { api: { baseUrl: "http://i.example", apiVersions: { default: "9", active: ["6", "7", "8", "9"] } }, cdn: { baseUrl: "http://c.example:3003" }, gateway: { baseUrl: "ws://i.example:3002", encoding: ["etf", "json"], compression: ["zstd-stream", "zlib-stream", null] } },
  [WELL_KNOWN]: { api: "http://i.example/api/" },
  [DOMAINS]: { admin: null, api: "http://i.example/api/", apiEndpoint: "http://i.example", cdn: "http://c.example:3003", defaultApiVersion: "9", gateway: "ws://i.example:3002" },
  [GATEWAY]: { url: "ws://i.example:3002" },
  "/api/ping": { ping: "pong!", instance: { id: "1", name: "x" } },
  "/api/v9/gateway/bot": { url: "ws://i.example:3002", shards: 1, session_start_limit: { total: 1000, remaining: 999, reset_after: 14400000, max_concurrency: 1 } },
  "/api/v9/auth/login": { user_id: "7", token: "token-of-alice", settings: { locale: "en-US" } },
  "/api/v9/auth/register": { token: "token-of-zoe" },
};

/** The requests that were made. */
let asked = [];

const json = (body, status = 200, headers = {}) => new Response(typeof body === "string" || body === null ? body : JSON.stringify(body), { status, headers });

/** A network of a table of paths, or URLs, to JSON, texts, "-> URL", or functions. */
function network(table) {
  globalThis.fetch = async (url, init) => {
    asked.push({ url, path: new URL(url).pathname, ...init });
    let redirects = 0;
    for (let at = url; ; ) {
      init.signal?.throwIfAborted();
      let answer = table[at] ?? table[new URL(at).pathname];
      if (typeof answer === "function") answer = await answer(init, at);
      if (typeof answer === "string" && answer.startsWith("-> ")) {
        if (init.redirect === "manual") return Object.defineProperties(new Response(null), { type: { value: "opaqueredirect" }, status: { value: 0 }, ok: { value: false } });
        if (++redirects > 20) throw new TypeError("fetch failed");
        at = new URL(answer.slice(3), at).href;
        continue;
      }
      const response = answer instanceof Response ? answer : answer === undefined ? json("<!doctype html>", 404, { "Content-Type": "text/html; charset=utf-8" }) : json(answer, 200, { "Content-Type": "application/json" });
      return Object.defineProperties(response, { redirected: { value: redirects > 0 }, url: { value: at } });
    }
  };
}

/** What hangs until it is aborted. */
const hangs = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

class FakeHandle {
  session = null;
  #observers = new Map();
  #finish;
  done = new Promise((resolve) => (this.#finish = resolve));
  closed = 0;
  constructor(url, options) {
    Object.assign(this, { url, options });
  }
  #add(name, fn) {
    const list = this.#observers.get(name) ?? [];
    this.#observers.set(name, list);
    list.push(fn);
    return () => list.splice(list.indexOf(fn), 1);
  }
  once = (name, fn) => this.#add(name, fn);
  observe = (name, fn) => this.#add(name, fn);
  observeState = (fn) => this.#add("state", fn);
  clone() {
    return Object.assign(Object.create(this), { original: this, close: async () => {} });
  }
  fire(name, data) {
    for (const fn of [...(this.#observers.get(name) ?? [])]) fn(data, { type: name });
  }
  get observers() {
    return [...this.#observers.values()].flat().length;
  }
  async close() {
    this.closed++;
    this.end(null);
  }
  end(error) {
    this.#finish(error);
  }
}

/** The handles that were connected. */
let handles = [];

beforeEach(() => {
  asked = [];
  handles = [];
  network(spacebar);
  globalThis.fakeConnect = async (url, options) => {
    const handle = new FakeHandle(url, options);
    handles.push(handle);
    options.setup?.(handle);
    handle.fire("state", { state: "identifying", resumed: false });
    handle.fire("state", { state: "ready", resumed: Boolean(options.session) });
    if (!options.session) setTimeout(() => handle.fire("READY", { user: { id: "7" }, user_settings: { locale: "de" } }));
    return handle;
  };
});

async function rejects(promise, code, type = GatewayError) {
  const error = await promise.then(
    (value) => assert.fail(`resolved to ${inspect(value)}`),
    (thrown) => thrown,
  );
  assert.ok(error instanceof type, inspect(error));
  assert.equal(error.code, code, inspect(error));
  return error;
}

// ------------------------------------------------------------------ discovery

const failures = {
  404: () => json("<html>", 404),
  500: () => json({ gateway: {} }, 500),
  empty: () => json(""),
  HTML: () => json("<!doctype html>", 200, { "Content-Type": "text/html" }),
  garbage: () => json('{"api":\0'),
  types: () => json({ api: [1], gateway: 7, url: { a: null }, apiEndpoint: false, cdn: [] }),
  null: () => json("null"),
  "hangs up": () => {
    throw new TypeError("Failed to fetch");
  },
  "breaks off": () => new Response(new ReadableStream({ pull: (c) => c.error(new TypeError("network error")) })),
};

for (const [n, first] of STEPS.entries()) {
  for (const [name, failure] of Object.entries(failures)) {
    test(`discover: ${first} after ${name}`, async () => {
      network({ ...spacebar, ...Object.fromEntries(STEPS.slice(0, n).map((step) => [step, failure])) });
      const found = await discover("http://i.example/");
      const source = first === WELL_KNOWN ? DOMAINS : first; // that one knows the API, and no gateway
      assert.deepEqual(
        asked.map((r) => r.path),
        [...STEPS.slice(0, STEPS.indexOf(source) + 1), ...(first === GATEWAY ? ["/api/ping"] : [])],
      );
      assert.deepEqual(found, {
        url: "http://i.example",
        api: "http://i.example/api/v9",
        versions: n === 0 ? ["6", "7", "8", "9"] : null,
        cdn: first === GATEWAY ? null : "http://c.example:3003",
        gateway: "ws://i.example:3002",
        encodings: n === 0 ? ["etf", "json"] : null,
        compressions: n === 0 ? ["zstd-stream", "zlib-stream", "none"] : null,
        source,
        spacebar: true,
      });
      for (const r of asked) assert.deepEqual([r.method, r.redirect, r.credentials, r.headers], ["GET", "follow", "omit", { Accept: "application/json" }]);
    });
  }
}

const good = { url: "wss://g.example" };
const found = {
  "bare host": ["i.example", { [GATEWAY]: good }, "https://i.example/api/v9"],
  "upper case, port, path and query": [" HTTPS://I.example:8443/app/login?x=1#y ", { ["https://i.example:8443" + GATEWAY]: good }, "https://i.example:8443/api/v9"],
  "host and port": ["localhost:3001", { ["https://localhost:3001" + GATEWAY]: good }, "https://localhost:3001/api/v9"],
  "a URL": [new URL("http://[::1]:3001/x"), { ["http://[::1]:3001" + GATEWAY]: good }, "http://[::1]:3001/api/v9"],
  elsewhere: ["i.example", { [CLIENT]: { api: { baseUrl: "https://a.example", apiVersions: { default: "10", active: ["9", "10", "x", 11] } }, cdn: { baseUrl: "https://c.example/" }, gateway: { baseUrl: "wss://g.example/ws?x=1#y" } } }, "https://a.example/api/v10", "wss://g.example/ws?x=1"],
  "a number for a version": ["i.example", { [CLIENT]: { api: { baseUrl: "https://a.example/api", apiVersions: { default: 8 } }, gateway: { baseUrl: "wss://g.example" } } }, "https://a.example/api/v8"],
  "the version in the URL": ["i.example", { [DOMAINS]: { apiEndpoint: "https://a.example/x//api/v7/", gateway: "wss://g.example" } }, "https://a.example/x/api/v7"],
  "only api": ["i.example", { [DOMAINS]: { api: "https://a.example/api/", gateway: "wss://g.example", defaultApiVersion: "../.." } }, "https://a.example/api/v9"],
  "API elsewhere, asked there": ["i.example", { [WELL_KNOWN]: { api: "https://a.example/api/" }, ["https://a.example" + GATEWAY]: good }, "https://a.example/api/v9"],
  "the first lacks a gateway": ["i.example", { [CLIENT]: { api: { baseUrl: "https://a.example" } }, ["https://a.example" + DOMAINS]: { gateway: "wss://g.example" } }, "https://a.example/api/v9"],
  "ws at http": ["http://i.example", { [GATEWAY]: { url: "ws://g.example" } }, "http://i.example/api/v9", "ws://g.example"],
  "an insecure gateway first": ["i.example", { [CLIENT]: { gateway: { baseUrl: "ws://bad.example" } }, [GATEWAY]: good }, "https://i.example/api/v9"],
  "an insecure API": ["i.example", { [CLIENT]: { api: { baseUrl: "http://a.example" }, cdn: { baseUrl: "http://c.example" }, gateway: { baseUrl: "wss://g.example" } } }, "https://i.example/api/v9"],
  "https redirects": ["i.example", { [CLIENT]: "-> https://www.i.example/1", "https://www.i.example/1": { gateway: { baseUrl: "wss://g.example" } } }, "https://i.example/api/v9"],
};
for (const [name, [url, table, api, gateway = "wss://g.example"]] of Object.entries(found)) {
  test(`discover: ${name}`, async () => {
    network(table);
    const i = await discover(url);
    assert.deepEqual([i.api, i.gateway, i.cdn, i.spacebar], [api, gateway, name === "elsewhere" ? "https://c.example" : null, i.source !== GATEWAY]);
    if (name === "elsewhere") assert.deepEqual(i.versions, ["9", "10", "11"]);
  });
}

const nothing = {
  "ws at https": ["i.example", { [GATEWAY]: { url: "ws://g.example" } }],
  "javascript:": ["i.example", { [GATEWAY]: { url: "javascript:alert(1)" } }],
  "http: for a gateway": ["http://i.example", { [GATEWAY]: { url: "http://g.example" } }],
  "no host": ["i.example", { [GATEWAY]: { url: "wss://" } }],
  "a port only": ["i.example", { [GATEWAY]: { url: "wss://:443" } }],
  "a relative URL": ["i.example", { [GATEWAY]: { url: "//g.example" } }],
  "half a URL": ["i.example", { [GATEWAY]: { url: "wss:g.example" } }],
  "a password": ["i.example", { [GATEWAY]: { url: "wss://a:b@g.example" } }],
  "control characters": ["i.example", { [GATEWAY]: { url: "wss://g.example/\r\nx" } }],
  "redirect to http": ["i.example", { [GATEWAY]: "-> http://i.example/2", "http://i.example/2": good }],
  "redirect from http": ["http://i.example", { [GATEWAY]: "-> https://i.example/2", "/2": good }],
  "a circle": ["i.example", { [GATEWAY]: "-> " + GATEWAY }],
};
for (const [name, [url, table]] of Object.entries(nothing)) {
  test(`discover: ${name}`, async () => {
    network(table);
    const error = await rejects(discover(url), "not_an_instance", lib.DiscoveryError);
    assert.equal(error.steps.length, 4);
    assert.equal(handles.length, 0);
  });
}

test("discover: what it says", async () => {
  network({ [CLIENT]: () => json("<html>", 200, { "Content-Type": "text/html; charset=utf-8" }), [WELL_KNOWN]: { api: "javascript:alert(1)" }, [DOMAINS]: { gateway: "javascript:alert(1)" }, [GATEWAY]: { url: "ws://g.example" } });
  const error = await rejects(login("i.example", alice), "not_an_instance", lib.DiscoveryError);
  assert.equal(
    error.message,
    "no instance found at https://i.example; GET /.well-known/spacebar/client was answered with what is not JSON but text/html" +
      "; GET /.well-known/spacebar names no gateway; what GET /api/policies/instance/domains names as the gateway is not a URL of ws or wss" +
      "; the gateway that GET /api/v9/gateway names is less secure than the instance, ws and not wss",
  );
  for (const url of ["", "https://", "ftp://i.example", "wss://i.example", "https://secret:secret@i.example", "https://i.example:port", "javascript://x", "https://i ex"]) {
    const error = await rejects(discover(url), "invalid_url");
    assert.ok(!error.message.includes("secret"));
  }
  await rejects(discover("i.example", { timout: 1 }), "invalid_option");
  await rejects(discover("i.example", { timeout: -1 }), "invalid_option");
});

test("discover: a body without end", async () => {
  let cancelled = 0;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (c) => c.enqueue(new Uint8Array(1024).fill(32)),
        cancel: () => void cancelled++,
      }),
    );
  network({ ...spacebar, [CLIENT]: endless });
  const { source } = await discover("http://i.example");
  assert.deepEqual([source, cancelled], [DOMAINS, 1]);
});

test("discover: time and signals", async () => {
  network({ ...spacebar, [CLIENT]: hangs, [DOMAINS]: () => new Response(new ReadableStream({})) });
  globalThis.fetch = ((fetch) => async (url, init) => {
    const response = await fetch(url, init);
    // As a browser does it, the signal ends the body as well.
    if (new URL(url).pathname !== DOMAINS) return response;
    return new Response(new ReadableStream({ start: (c) => init.signal.addEventListener("abort", () => c.error(init.signal.reason)) }));
  })(globalThis.fetch);
  assert.equal((await discover("http://i.example", { timeout: 20 })).source, GATEWAY);

  network({ [CLIENT]: hangs, [WELL_KNOWN]: hangs, [DOMAINS]: hangs, [GATEWAY]: hangs });
  const slow = await rejects(discover("http://i.example", { timeout: 5 }), "not_an_instance");
  assert.deepEqual([...new Set(slow.steps.map((s) => s.error.code))], ["timeout"]);

  const stop = new AbortController();
  const why = new Error("no patience");
  const gone = rejects(discover("http://i.example", { signal: stop.signal }), "aborted");
  stop.abort(why);
  assert.equal((await gone).cause, why);
  asked = [];
  await rejects(discover("http://i.example", { signal: stop.signal }), "aborted");
  assert.equal(asked.length, 1);
  await rejects(login("http://i.example", alice, { signal: stop.signal }), "aborted");
});

// ---------------------------------------------------------------------- login

test("login", async () => {
  const user = await login("http://i.example", alice);
  const [handle] = handles;
  assert.equal(user.handle, handle);
  assert.deepEqual([user.token, user.id, user.settings, user.instance.source], ["token-of-alice", "7", { locale: "de" }, CLIENT]);
  const { setup, ...options } = handle.options;
  assert.deepEqual([handle.url, options], ["ws://i.example:3002", { token: "token-of-alice", maxMessageSize: 4096, encoding: undefined, compress: "auto" }]);
  assert.equal(handle.observers, 0, "nothing stays behind");
  const { url, method, body, redirect, credentials, headers, referrerPolicy } = asked.at(-1);
  assert.deepEqual([url, method, redirect, credentials, referrerPolicy], ["http://i.example/api/v9/auth/login", "POST", "manual", "omit", "no-referrer"]);
  assert.deepEqual(headers, { Accept: "application/json", "Content-Type": "application/json" });
  assert.deepEqual(JSON.parse(body), alice);
  await user.close();
  assert.equal(handle.closed, 1);
});

test("what the caller sets wins", async () => {
  let setUp = 0;
  const instance = await discover("http://i.example");
  asked = [];
  const session = { id: "s", seq: 1, resumeUrl: "" };
  const user = await withToken(instance, "token", { compress: "none", encoding: "etf", maxMessageSize: 8000, session, timeout: 10, setup: () => setUp++ });
  const { setup, ...options } = handles[0].options;
  assert.deepEqual(options, { token: "token", maxMessageSize: 8000, encoding: "etf", compress: "none", session });
  assert.deepEqual([setUp, asked.length], [1, 0]);
  assert.deepEqual([user.id, user.settings], [null, null]); // of a resumed session there is no READY
});

test("a READY that does not come is not waited for", async () => {
  const { fakeConnect } = globalThis;
  globalThis.fakeConnect = (url, options) => fakeConnect(url, { ...options, setup: (h) => (options.setup(h), (h.fire = () => {})) });
  const user = await login("http://i.example", alice);
  assert.deepEqual([user.id, user.settings], ["7", { locale: "en-US" }]);
});

test("gatewayOptions", () => {
  const chosen = (encodings, compressions, spacebar = false) => {
    const { encoding, compress, maxMessageSize } = gatewayOptions({ encodings, compressions, spacebar }, {});
    return [encoding, compress, maxMessageSize];
  };
  assert.deepEqual(chosen(null, null), [undefined, undefined, undefined]);
  assert.deepEqual(chosen(null, null, true), [undefined, undefined, 4096]);
  assert.deepEqual(chosen(["etf", "json"], ["zstd-stream", "zlib-stream", "none"]), [undefined, "auto", undefined]);
  assert.deepEqual(chosen(["json"], ["zlib-stream", "none"]), [undefined, "auto", undefined]);
  assert.deepEqual(chosen(["json"], ["zstd-stream", "none"]), [undefined, "auto", undefined]);
  assert.deepEqual(chosen(["json"], ["zlib-stream", "zlib-stream", "brotli"]), [undefined, "zlib-stream", undefined]);
  assert.deepEqual(chosen(["json"], ["none"]), [undefined, "none", undefined]);
  assert.deepEqual(chosen(["etf"], ["zstd-stream"]), ["etf", "zstd-stream", undefined]);
  assert.deepEqual(chosen(["cbor"], ["brotli"]), [undefined, "none", undefined]);
  assert.deepEqual(chosen(null, []), [undefined, "none", undefined]);
});

test("forms", async () => {
  const sent = async (call) => {
    asked = [];
    network({ ...spacebar, "/api/v9/auth/login": () => json("", 418), "/api/v9/auth/register": () => json("", 418) });
    const error = await rejects(call, "http_error", lib.HttpError);
    assert.equal(error.status, 418);
    return JSON.parse(asked.at(-1).body);
  };
  assert.deepEqual(await sent(login("http://i.example", { login: "+49", password: "p", undelete: true, captchaKey: "k" })), { login: "+49", password: "p", undelete: true, captcha_key: "k" });
  assert.deepEqual(await sent(register("http://i.example", { username: "zoe", consent: false, email: "" })), { username: "zoe", consent: false });
  assert.deepEqual(await sent(register("http://i.example", { username: "zoe", globalName: "Zoe", email: "z@e", password: "p", dateOfBirth: "2000-02-29", consent: true, invite: "i", captchaKey: "k" })), {
    username: "zoe",
    global_name: "Zoe",
    email: "z@e",
    password: "p",
    date_of_birth: "2000-02-29",
    consent: true,
    invite: "i",
    captcha_key: "k",
  });
  asked = [];
  for (const form of [PASSWORD, null, { login: "a", passwort: PASSWORD }, { login: "a", password: [PASSWORD] }]) {
    const error = await rejects(login("http://i.example", form), "invalid_option");
    assert.ok(!inspect(error).includes(PASSWORD));
  }
  for (const token of ["", "a\nb", "ä", 5, null]) await rejects(withToken("http://i.example", token), "invalid_option");
  for (const instance of [null, {}, { url: "https://i.example", api: "http://i.example/api/v9", gateway: "wss://i.example" }]) await rejects(withToken(instance, "x"), "invalid_url");
  assert.equal(asked.length, 0);
});

test("register", async () => {
  const user = await register("http://i.example", { username: "zoe", consent: true });
  assert.deepEqual([user.token, user.id], ["token-of-zoe", "7"]);
});

const deep = JSON.parse(`${'{"a":'.repeat(500)}{}${"}".repeat(500)}`);
const refusals = [
  [{ code: 50035, errors: { email: { _errors: [{ code: "A", message: "a" }, { code: "B", message: "b" }] } } }, { email: [["A", "a"], ["B", "b"]] }],
  [{ code: 50035, errors: { embeds: { 0: { title: { _errors: [{ code: "A", message: "a" }] } } } } }, { "embeds.0.title": [["A", "a"]] }],
  [
    {
      errors: { "": { _errors: [{ code: "JSON_SCHEMA", message: "must have required property 'consent'" }] } },
      _ajvErrors: [
        { instancePath: "", keyword: "required", params: { missingProperty: "consent" }, message: "must have required property 'consent'" },
        { instancePath: "/a/b", keyword: "type", params: { type: "string" }, message: "must be string" },
      ],
    },
    { "": [["JSON_SCHEMA", "must have required property 'consent'"]], consent: [["required", "must have required property 'consent'"]], "a.b": [["type", "must be string"]] },
  ],
  [{ errors: { "/email": { _errors: [{ code: 1, message: "a\nb\u202e" }] } } }, { email: [["1", "a b "]] }],
  ['{"errors":{"__proto__":{"_errors":[{"code":"A","message":"a"}]}}}', { ["__proto__"]: [["A", "a"]] }],
  [{ errors: { a: { _errors: [{ message: "😀".repeat(300) }] } } }, { a: [["", "😀".repeat(200) + "…"]] }],
  [{ code: 50035, message: "Invalid Form Body", errors: { x: { _errors: "no" } } }, "POST /auth/login was answered with 400: Invalid Form Body (code 50035)"],
  [{ code: 50035, errors: deep }, "POST /auth/login was answered with 400 (code 50035)"],
  [{ code: 50035, errors: [1, null, {}], _ajvErrors: { a: 1 } }, "POST /auth/login was answered with 400 (code 50035)"],
];
for (const [n, [body, want]] of refusals.entries()) {
  test(`field errors ${n}`, async () => {
    network({ ...spacebar, "/api/v9/auth/login": () => json(body, 400) });
    const error = await rejects(login("http://i.example", alice), typeof want === "string" ? "http_error" : "invalid_form");
    if (typeof want === "string") return assert.equal(error.message, want);
    assert.ok(error instanceof lib.FieldErrors);
    assert.deepEqual(Object.fromEntries(Object.entries(error.fields).map(([name, list]) => [name, list.map((f) => [f.code, f.message])])), want);
  });
}

test("refusals", async () => {
  const refused = async (status, body, code, headers) => {
    network({ ...spacebar, "/api/v9/auth/login": status ? () => json(body, status, headers) : "-> https://elsewhere.example/" });
    return rejects(login("http://i.example", alice), code);
  };
  const INVALID = { _errors: [{ code: "INVALID_LOGIN", message: "Login or password is invalid." }] };
  const wrong = await refused(400, { code: 50035, message: "Invalid Form Body", errors: { login: INVALID, password: INVALID } }, "authentication_failed");
  assert.equal(wrong.message, "the server does not take the form; login: Login or password is invalid. (INVALID_LOGIN); password: Login or password is invalid. (INVALID_LOGIN)");
  assert.equal((await refused(401, "", "authentication_failed")).status, 401);
  assert.equal((await refused(400, { code: 40001, message: "Unauthorized" }, "authentication_failed")).apiCode, 40001);
  assert.equal((await refused(429, { retry_after: 1.5 }, "rate_limited")).retryAfter, 1500);
  assert.equal((await refused(429, "<html>", "rate_limited", { "Retry-After": "7" })).retryAfter, 7000);
  assert.equal((await refused(429, { retry_after: -1 }, "rate_limited")).retryAfter, 0);
  assert.ok((await refused(429, "", "rate_limited", { "Retry-After": new Date(Date.now() + 60_000).toUTCString() })).retryAfter > 50_000);
  const away = await refused(0, "", "http_error");
  assert.equal(away.message, "POST /auth/login was answered with a redirect: credentials do not follow redirects; give the URL of the instance itself");
  assert.equal((await refused(200, {}, "http_error")).message, "POST /auth/login was answered with 200: it gave no token");
  await refused(200, { token: "a\nb" }, "http_error");
  await refused(200, "<html>", "protocol");
  await refused(200, " ".repeat(2 << 20), "protocol");
  network({ ...spacebar, "/api/v9/auth/login": failures["hangs up"] });
  assert.equal((await rejects(login("http://i.example", alice), "dial_failed")).message, "could not reach i.example: Failed to fetch");
  network({ ...spacebar, "/api/v9/auth/login": hangs });
  await rejects(login("http://i.example", alice, { timeout: 5 }), "timeout");
});

test("a captcha, then a second factor", async () => {
  const bodies = [];
  network({
    ...spacebar,
    "/api/v9/auth/login": ({ body, headers }) => {
      bodies.push([JSON.parse(body), headers["X-Captcha-Key"], headers["X-Captcha-Rqtoken"], headers["X-Captcha-Session-Id"]]);
      if (!JSON.parse(body).captcha_key) return json({ captcha_key: ["captcha-required"], captcha_sitekey: "site", captcha_service: "hcaptcha", captcha_rqdata: "data", captcha_rqtoken: "rq", captcha_session_id: "sid" }, 400);
      return { token: null, mfa: true, ticket: "ticket", sms: true, webauthn: null };
    },
    "/api/v9/auth/mfa/totp": ({ body }) => {
      bodies.push(JSON.parse(body));
      return JSON.parse(body).code === "123456" ? { token: "token-of-alice" } : json({ code: 60008, message: "Invalid two-factor code" }, 400);
    },
  });
  const captcha = await rejects(login("http://i.example", alice), "captcha_required", lib.CaptchaRequired);
  assert.deepEqual([captcha.siteKey, captcha.service, captcha.reasons, captcha.rqData], ["site", "hcaptcha", ["captcha-required"], "data"]);
  assert.equal(captcha.message, "the server asks for a captcha of hcaptcha (captcha-required)");
  const factor = await rejects(captcha.continue("solved"), "mfa_required", lib.MfaRequired);
  assert.deepEqual([factor.methods, factor.ticket, factor.message], [["totp", "sms"], "ticket", "the account needs a second factor (totp, sms)"]);
  assert.equal((await rejects(factor.continue("000000"), "http_error")).apiCode, 60008);
  const stop = AbortSignal.abort();
  await rejects(factor.continue("123456", { signal: stop }), "aborted");
  assert.equal((await factor.continue("123456")).token, "token-of-alice");
  assert.deepEqual(bodies, [
    [alice, undefined, undefined, undefined],
    [{ ...alice, captcha_key: "solved" }, "solved", "rq", "sid"],
    { code: "000000", ticket: "ticket" },
    { code: "123456", ticket: "ticket" },
  ]);
});

test("a login is not lost with the connection", async () => {
  const cause = new GatewayError({ code: "dial_failed", message: "nobody there", fatal: true, closeCode: 1006 });
  const { fakeConnect } = globalThis;
  globalThis.fakeConnect = () => Promise.reject(cause);
  const error = await rejects(login("http://i.example", alice), "dial_failed", lib.NotConnected);
  assert.deepEqual([error.token, error.cause, error.message, error.closeCode], ["token-of-alice", cause, "logged in, but not connected: nobody there", 1006]);
  assert.equal(await rejects(withToken(error.instance, error.token), "dial_failed"), cause);
  globalThis.fakeConnect = fakeConnect;
  assert.equal((await withToken(error.instance, error.token)).id, "7");
});

test("nor with an abort, or with what setup throws", async () => {
  const { fakeConnect } = globalThis;
  const thrown = new Error("on purpose");
  globalThis.fakeConnect = async (url, options) => options.setup({ once: () => () => {}, observeState: () => () => {} });
  for (const start of [login("http://i.example", alice, { setup: () => { throw thrown; } }), register("http://i.example", { username: "zoe", consent: true }, { setup: () => { throw thrown; } })]) {
    const error = await rejects(start, "observer_threw", lib.NotConnected);
    assert.match(error.token, /^token-of-/);
    assert.equal(error.cause.cause, thrown);
  }
  const shard = await rejects(connectShards("ws://g.example", { token: "t", setup: () => { throw thrown; } }), "observer_threw", lib.ShardError);
  assert.equal(shard.shard, 0);
  globalThis.fakeConnect = fakeConnect;
});

test("a timeout that no timer holds is none", async (t) => {
  const timers = t.mock.method(globalThis, "setTimeout");
  await discover("http://i.example", { timeout: 2 ** 31 });
  assert.equal(timers.mock.callCount(), 0);
  await discover("http://i.example", { timeout: 2 ** 31 - 1 });
  assert.notEqual(timers.mock.callCount(), 0);
});

// -------------------------------------------------------------------- secrets

/** All that is to be seen of a value without asking for a secret by its name. */
function seen(value) {
  const all = [inspect(value, { showHidden: true, depth: 9 }), String(value), `${JSON.stringify(value)}`, value?.stack ?? "", value?.message ?? ""];
  for (const key of Reflect.ownKeys(value)) all.push(String(key), typeof value[key] === "function" ? "" : inspect(value[key]));
  return all.join("\n");
}

test("no secret shows up anywhere", async () => {
  globalThis.fakeConnect = async (url, { setup }) => {
    const handle = new FakeHandle(url, {}); // a handle sees to its own secrets
    setup(handle);
    setTimeout(() => handle.fire("READY", { user: { id: "7" } }));
    return handle;
  };
  const secrets = [PASSWORD, "token-of-alice", "secret-ticket", "secret-captcha", "secret-code", "secret-bot"];
  const hidden = (value, what) => {
    for (const s of secrets) assert.ok(!seen(value).includes(s), `${what} shows ${s}: ${seen(value)}`);
  };
  const user = await login("http://i.example", alice);
  hidden(user, "a user");
  assert.deepEqual(JSON.parse(JSON.stringify(user)), { id: "7", instance: "http://i.example" });

  const form = { ...alice, captchaKey: "secret-captcha" };
  for (const [secret, call] of [
    [PASSWORD + " secret-captcha", () => login("http://i.example", form)],
    [PASSWORD + " secret-captcha", () => register("http://i.example", { username: "a", consent: true, password: PASSWORD, captchaKey: "secret-captcha" })],
    ["secret-bot", () => gatewayBot("http://i.example", "secret-bot")],
  ]) {
    for (const body of [
      { code: 1, message: secret },
      { errors: { [secret]: { _errors: [{ code: secret, message: secret }] } }, _ajvErrors: [{ instancePath: `${secret}/b`, keyword: secret, message: secret }] },
      { captcha_key: [secret], captcha_service: secret },
      secret,
    ]) {
      for (const status of [200, 400, 429, 500]) {
        const answer = () => json(body, status, { "Content-Type": secret });
        network({ ...spacebar, "/api/v9/auth/login": answer, "/api/v9/auth/register": answer, "/api/v9/gateway/bot": answer });
        hidden(await call().catch((e) => e), `${call} after ${status}`);
      }
    }
    network({
      ...spacebar,
      "/api/v9/auth/login": () => Promise.reject(new TypeError(`failed with ${secret}`)),
      "/api/v9/auth/register": () => Promise.reject(new TypeError(`failed with ${secret}`)),
      "/api/v9/gateway/bot": () => Promise.reject(new TypeError(`failed with ${secret}`)),
    });
    hidden(await rejects(call(), "dial_failed"), "a failure");
  }
  hidden(await rejects(gatewayBot("http://i.example", "secret-bot\n"), "invalid_option"), "a bad token");

  network({ ...spacebar, "/api/v9/auth/login": { ticket: "secret-ticket" }, "/api/v9/auth/mfa/totp": () => json({ code: 60008, message: "secret-ticket secret-code" }, 400) });
  const factor = await rejects(login("http://i.example", alice), "mfa_required");
  hidden(factor, "a second factor");
  hidden(await rejects(factor.continue("secret-code"), "http_error"), "a wrong code");
  network(spacebar);
  globalThis.fakeConnect = () => Promise.reject(new GatewayError({ code: "dial_failed", message: "no" }));
  hidden(await rejects(login("http://i.example", alice), "dial_failed"), "not connected");
});

// --------------------------------------------------------------------- shards

test("gatewayBot", async () => {
  assert.deepEqual(await gatewayBot("http://i.example", ""), { url: "ws://i.example:3002", shards: 1, sessionStartLimit: { total: 1000, remaining: 999, resetAfter: 14400000, maxConcurrency: 1 } });
  assert.equal(asked.at(-1).headers.Authorization, undefined);
  const instance = await discover("http://i.example");
  network({ "/api/v9/gateway/bot": { url: "wss://g.example/?x=1", shards: -5, session_start_limit: { total: "12", remaining: -1, max_concurrency: 0 } } });
  assert.deepEqual(await gatewayBot(instance, "Bot abc"), { url: "wss://g.example/?x=1", shards: 1, sessionStartLimit: { total: 12, remaining: 0, resetAfter: 0, maxConcurrency: 1 } });
  assert.equal(asked.at(-1).headers.Authorization, "Bot abc");
  assert.equal(asked.at(-1).redirect, "manual");
  for (const url of ["http://g.example", ["ws://g.example"], ""]) {
    network({ "/api/v9/gateway/bot": { url } });
    await rejects(gatewayBot(instance, "abc"), "protocol");
  }
  network({ "/api/v9/gateway/bot": { url: "ws://g.example" } });
  await rejects(gatewayBot({ ...instance, url: "https://i.example", api: "https://i.example/api/v9", gateway: "wss://g.example" }, "abc"), "protocol");
});

test("shardId", () => {
  assert.equal(shardId("0", 4), 0);
  assert.equal(shardId(String(1n << 22n), 4), 1);
  assert.equal(shardId(String((4n << 22n) - 1n), 4), 3);
  assert.equal(shardId("81384788765712384", 10), 8);
  assert.equal(shardId(String((1n << 64n) - 1n), 1000), 103);
  assert.equal(shardId("81384788765712384", 1), 0);
  for (const [id, n] of [[81384788765712384, 2], ["", 2], ["-1", 2], ["1.5", 2], ["0x10", 2], ["1", 0], ["1", 1.5], ["1", NaN], ["1", "2"]]) {
    assert.throws(() => shardId(id, n), { code: "invalid_option" });
  }
});

/** The seconds that have passed while timers are mocked. */
let now = 0;

/** Lets time pass, and what is due happen. */
async function until(then) {
  const settle = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
  };
  for (await settle(); now < then; await settle()) {
    now++;
    mock.timers.tick(1000);
  }
}

test("connectShards", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const when = [];
    const { fakeConnect } = globalThis;
    globalThis.fakeConnect = (url, options) => {
      when.push(`${options.identify.shard[0]} at ${now}`);
      return fakeConnect(url, options);
    };
    const setUp = [];
    const limit = { total: 1000, remaining: 8, resetAfter: 60_000, maxConcurrency: 3 };
    const connecting = connectShards("ws://g.example", { token: "t", shards: 8, limit, setup: (handle, shard) => setUp.push(shard) });
    await until(9);
    // One that is connected identifies again.
    handles.find((h) => h.options.identify.shard[0] === 0).fire("state", { state: "identifying" });
    await until(20);
    const group = await connecting;
    assert.deepEqual(when, ["0 at 0", "1 at 0", "2 at 0", "3 at 5", "4 at 5", "5 at 5", "7 at 10", "6 at 14"]);
    assert.deepEqual(setUp.sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
    const { identify } = handles[0].options;
    assert.deepEqual([identify.token, identify.shard, typeof identify.properties], ["t", [0, 8], "object"]);

    const seen = [];
    const stop = group.observe("MESSAGE_CREATE", (data, event, shard) => seen.push([data, event.type, shard]));
    assert.equal(group.count, 8);
    assert.equal(group.guild(String(11n << 22n)), group.shard(3));
    assert.equal(group.shard(8), undefined);
    group.shard(3).original.fire("MESSAGE_CREATE", "x");
    assert.deepEqual(seen, [["x", "MESSAGE_CREATE", 3]]);
    stop();
    group.shard(3).original.fire("MESSAGE_CREATE", "x");
    assert.equal(seen.length, 1);
    await group.shard(3).close();
    assert.equal(handles.filter((h) => h.closed).length, 0);
    handles[0].session = { id: "s", seq: 1, resumeUrl: "" };
    assert.deepEqual(group.sessions, { [handles[0].options.identify.shard[0]]: handles[0].session });

    // One shard that ends takes the others with it.
    group.shard(5).original.end(new GatewayError({ code: "connection_closed", message: "gone", closeCode: 4011, fatal: true }));
    const error = await group.done;
    assert.ok(error instanceof lib.ShardError);
    assert.deepEqual([error.shard, error.code, error.closeCode, error.message], [5, "connection_closed", 4011, "shard 5: gone"]);
    assert.equal(handles.filter((h) => h.closed).length, 8);
    await group.close();
    assert.equal(handles.filter((h) => h.closed > 1).length, 0);
  } finally {
    mock.timers.reset();
  }
});

test("connectShards refuses, and fails as a whole", async () => {
  const refused = (options) => rejects(connectShards("ws://g.example", { token: "t", ...options }), "invalid_option");
  for (const options of [{ shards: 0 }, { shards: 1.5 }, { shards: 2, ids: [2] }, { shards: 2, ids: [-1] }, { shards: 2, ids: [1, 1] }, { ids: [] }]) await refused(options);
  const limit = { total: 1000, remaining: 1, resetAfter: 3_600_000, maxConcurrency: 4 };
  const none = await rejects(connectShards("ws://g.example", { token: "t", shards: 3, limit, sessions: { 0: { id: "s", seq: 1, resumeUrl: "" } } }), "rate_limited", lib.SessionLimitError);
  assert.deepEqual([none.needed, none.remaining, none.resetAfter, none.message], [2, 1, 3_600_000, "2 sessions are needed and the server allows 1 more; try again in 3600 s"]);
  assert.equal(handles.length, 0);

  const { fakeConnect } = globalThis;
  globalThis.fakeConnect = (url, options) => (options.identify.shard[0] === 2 ? Promise.reject(new GatewayError({ code: "dial_failed", message: "no" })) : fakeConnect(url, options));
  const failed = await rejects(connectShards("ws://g.example", { token: "t", shards: 8, limit: { ...limit, remaining: 8 } }), "dial_failed", lib.ShardError);
  assert.deepEqual([failed.shard, handles.length, handles.every((h) => h.closed === 1)], [2, 3, true]);

  const stop = new AbortController();
  const gone = rejects(connectShards("ws://g.example", { token: "t", shards: 2, signal: stop.signal }), "aborted", lib.ShardError);
  setTimeout(() => stop.abort());
  assert.equal((await gone).shard, 1);
  await rejects(connectShards("ws://g.example", { token: "t", signal: stop.signal }), "aborted");

  // Sessions that are resumed neither wait nor count.
  globalThis.fakeConnect = fakeConnect;
  const sessions = { 0: { id: "a", seq: 1, resumeUrl: "" }, 2: { id: "c", seq: 1, resumeUrl: "" } };
  const group = await connectShards("ws://g.example", { token: "t", shards: 3, ids: [2, 0], sessions });
  await group.close();
  assert.equal(await group.done, null);
});

test("an option that does not exist is refused before anything is asked", async () => {
  network(spacebar);
  asked = [];
  const calls = {
    login: () => login("http://i.example", alice, { compres: "none" }),
    register: () => register("http://i.example", { username: "zoe", password: PASSWORD, consent: true }, { token: "x" }),
    withToken: () => withToken("http://i.example", "token-of-alice", { hosts: 1 }),
  };
  for (const [name, call] of Object.entries(calls)) await assert.rejects(call, (e) => e instanceof GatewayError && e.code === "invalid_option" && e.message.startsWith(`${name} has no option`));
  assert.deepEqual(asked, []);
});
