// A user, not only a socket: the discovery of an instance, login and
// registration over HTTP, and a handle that is ready; and the shards of a bot.
//
// The Go packages gateway/user and gateway/shard do the same; what one of them
// refuses, the other refuses as well.

import { describe, fail, GatewayError } from "./errors.js";
import { CONNECT, connect, type ConnectOptions } from "./gateway.js";
import type { CloseOptions, GatewayHandle } from "./handle.js";
import type { EventInfo, ObserveOptions, Unsubscribe } from "./observers.js";
import { identifyCommon, type DispatchEvents, type EventName, type UserSettings } from "./protocol.gen.js";
import type { Session } from "./protocol.js";
import { check, LONGEST } from "./requests.js";

// ---------------------------------------------------------------- instances

/** A step of the discovery: the path that was asked. */
export type Source = "/.well-known/spacebar/client" | "/.well-known/spacebar" | "/api/policies/instance/domains" | "/api/v9/gateway";

/** Where things are at an instance, and what its gateway speaks. It is plain data, which may be kept and used again. */
export interface Instance {
  /** Scheme, host and port of the URL that was given. */
  readonly url: string;
  /** Base URL of the HTTP API, with its version and without a slash at the end. */
  readonly api: string;
  /** The versions of the API that are in use; null if the instance does not say. */
  readonly versions: readonly string[] | null;
  /** Base URL of files; null if the instance does not say. */
  readonly cdn: string | null;
  /** The URL to connect to. */
  readonly gateway: string;
  /** The encodings of the gateway; null if the instance does not say. */
  readonly encodings: readonly string[] | null;
  /** The compressions of the gateway, "none" among them; null if the instance does not say. */
  readonly compressions: readonly string[] | null;
  /** The step of the discovery that knew the gateway. */
  readonly source: Source;
  /** Whether the server is one of Spacebar, or behaves like one. */
  readonly spacebar: boolean;
}

/** Options of a request. */
export interface RequestOptions {
  /** Gives up when it is aborted. */
  signal?: AbortSignal | undefined;
  /** How long each HTTP request may take, in milliseconds; 15000 by default. */
  timeout?: number | undefined;
}

/** Options of a login, and of the connection that follows. What is set wins over what the instance says. */
export interface UserOptions extends Omit<ConnectOptions, "token">, RequestOptions {}

const REQUEST = ["signal", "timeout"] as const;
const USER = [...CONNECT.filter((name) => name !== "token"), ...REQUEST];

interface Named {
  api?: unknown;
  version?: unknown;
  versions?: unknown;
  cdn?: unknown;
  gateway?: unknown;
  encodings?: unknown;
  compressions?: unknown;
}

/**
 * Finds the API and the gateway of the instance at a URL, as it would be typed:
 * "spacebar.example" stands for https://spacebar.example, http is used only
 * where it is asked for, and what follows the host does not count.
 *
 * Asks the paths of Source, one after the other and only until it knows enough.
 * A step may fail in any way, or lie: what is not a URL, or is less secure than
 * the instance, is taken for missing. Rejects with "not_an_instance" (a
 * DiscoveryError), "invalid_url" or "aborted".
 */
export async function discover(instanceUrl: string | URL, options: RequestOptions = {}): Promise<Instance> {
  check(options, REQUEST, "discover");
  const base = parseInstance(instanceUrl);
  let api = `${base}/api`;
  let version = "";
  let versions: string[] | null = null;
  let cdn: string | null = null;
  let encodings: string[] | null = null;
  let compressions: string[] | null = null;
  const get = (path: string, url = base + path) => ask({ name: `GET ${path}`, url, secrets: [] }, options);
  const steps: [Source, () => Promise<Named>][] = [
    [
      "/.well-known/spacebar/client",
      async () => {
        const a = await get("/.well-known/spacebar/client");
        const [api, gateway] = [object(a["api"]), object(a["gateway"])];
        const known = object(api["apiVersions"]);
        return { api: api["baseUrl"], version: known["default"], versions: known["active"], cdn: object(a["cdn"])["baseUrl"], gateway: gateway["baseUrl"], encodings: gateway["encoding"], compressions: gateway["compression"] };
      },
    ],
    ["/.well-known/spacebar", async () => ({ api: (await get("/.well-known/spacebar"))["api"] })],
    [
      "/api/policies/instance/domains",
      async () => {
        const a = await get("/api/policies/instance/domains", `${api}/policies/instance/domains`);
        return { api: a["apiEndpoint"] || a["api"], version: a["defaultApiVersion"], cdn: a["cdn"], gateway: a["gateway"] };
      },
    ],
    ["/api/v9/gateway", async () => ({ gateway: (await get("/api/v9/gateway", `${api}/v9/gateway`))["url"] })],
  ];
  const failed: StepError[] = [];
  for (const [source, step] of steps) {
    try {
      const named = await step();
      const who = `GET ${source}`;
      const url = maybe(() => usable(base, who, "API", named.api, "http", "https"));
      if (url) {
        // Servers give it with and without /api, and with and without the version.
        const parts = url.pathname.split("/").filter(Boolean);
        version = /^v\d{1,3}$/.test(parts.at(-1) ?? "") ? parts.pop()!.slice(1) : "";
        if (parts.at(-1) !== "api") parts.push("api");
        api = `${url.origin}/${parts.join("/")}`;
        if (isVersion(named.version)) version = String(named.version);
      }
      cdn = maybe(() => trimmed(usable(base, who, "CDN", named.cdn, "http", "https"))) ?? cdn;
      if (Array.isArray(named.versions)) versions = named.versions.filter(isVersion).map(String);
      if (Array.isArray(named.encodings)) encodings = strings(named.encodings);
      if (Array.isArray(named.compressions)) compressions = strings(named.compressions.map((c) => c ?? "none"));
      const gateway = trimmed(usable(base, who, "gateway", named.gateway, "ws", "wss"));
      let spacebar = source !== "/api/v9/gateway";
      if (!spacebar) {
        // The last step is common to all servers of this protocol.
        const a = await get("/api/ping", `${api}/ping`).catch(() => ({}) as Answer);
        spacebar = text(a["ping"]) !== "" && Boolean(object(a["instance"])["id"]);
      }
      return Object.freeze({ url: base, api: `${api}/v${version || "9"}`, versions, cdn, gateway, encodings, compressions, source, spacebar });
    } catch (thrown) {
      if (options.signal?.aborted || (thrown as GatewayError).code === "invalid_option") throw thrown;
      failed.push({ source, error: thrown as GatewayError });
    }
  }
  throw new DiscoveryError(base, failed);
}

/** Reads the URL of an instance. The errors do not repeat it, for it may hold a password. */
function parseInstance(given: string | URL): string {
  const typed = String(given).trim();
  const url = maybe(() => new URL(typed.includes("://") ? typed : `https://${typed}`));
  const scheme = url?.protocol;
  let what = "";
  if (!url) what = "this is not the URL of an instance";
  else if (scheme === "ws:" || scheme === "wss:") what = "this is the URL of a gateway, not of an instance; use connect for it";
  else if (scheme !== "http:" && scheme !== "https:") what = "the URL of an instance must begin with https:// or http://";
  else if (url.username || url.password) what = "the URL of an instance has no user name or password in it";
  else return url.origin;
  throw fail("invalid_url", what);
}

/** Checks the URL of a thing, `what`, that the instance at `base` names in the answer to `who`. */
function usable(base: string, who: string, what: string, value: unknown, open: string, secure: string): URL {
  const given = text(value);
  if (given === "") throw fail("protocol", `${who} names no ${what}`);
  const url = maybe(() => new URL(given));
  const scheme = url?.protocol;
  // Browsers would overlook control characters.
  if (!url || /[\0- \x7f]/.test(given) || !given.includes("://") || url.username || url.password || (scheme !== `${open}:` && scheme !== `${secure}:`)) {
    throw fail("protocol", `what ${who} names as the ${what} is not a URL of ${open} or ${secure}`);
  }
  if (base.startsWith("https:") && scheme === `${open}:`) throw fail("protocol", `the ${what} that ${who} names is less secure than the instance, ${open} and not ${secure}`);
  url.hash = "";
  return url;
}

const trimmed = (url: URL) => (url.search ? url.href : url.href.replace(/\/+$/, ""));

function maybe<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

// What a server sent is read leniently: what is of another type is as good as missing.
type Answer = Record<string, unknown>;
const object = (v: unknown): Answer => (typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Answer) : {});
const text = (v: unknown): string => (typeof v === "string" ? v : "");
const strings = (v: unknown): string[] => (Array.isArray(v) ? v.filter((s): s is string => typeof s === "string" && s !== "").map((s) => clean(s, [])) : []);
const whole = (v: unknown, least: number): number => (Number.isFinite(Number(v)) ? Math.max(least, Math.trunc(Number(v))) : least);
const isVersion = (v: unknown): boolean => (typeof v === "string" || typeof v === "number") && /^\d{1,3}$/.test(String(v));

/** Options of connect with what is left open chosen to suit the instance: maxMessageSize, encoding and compress. */
export function gatewayOptions<O extends Pick<ConnectOptions, "maxMessageSize" | "encoding" | "compress">>(instance: Instance, options: O): O {
  const { encodings, compressions } = instance;
  let { maxMessageSize, encoding, compress } = options;
  if (instance.spacebar) maxMessageSize ??= 4096;
  if (encodings?.includes("etf") && !encodings.includes("json") && (encoding ?? "auto") === "auto") encoding = "etf";
  if (compressions && (compress ?? "auto") === "auto") {
    // "auto" tries zstd-stream first and can do with less: where there is a choice, the server has the last word.
    const known = (["zstd-stream", "zlib-stream", "none"] as const).filter((c) => compressions.includes(c));
    compress = known.length > 1 ? "auto" : (known[0] ?? "none");
  }
  return { ...options, maxMessageSize, encoding, compress };
}

/** What was given as an instance, discovered if it was only a URL. */
async function at(instance: string | URL | Instance, options: RequestOptions): Promise<Instance> {
  if (typeof instance === "string" || instance instanceof URL) return discover(instance, { signal: options.signal, timeout: options.timeout });
  const { url, api, gateway } = object(instance) as unknown as Instance;
  try {
    const base = parseInstance(url);
    usable(base, "", "", api, "http", "https");
    usable(base, "", "", gateway, "ws", "wss");
  } catch {
    throw fail("invalid_url", "the instance is not complete; give its URL, or what discover found");
  }
  return instance;
}

// ------------------------------------------------------------------- errors

/** One step of the discovery that failed. */
export interface StepError {
  readonly source: Source;
  readonly error: GatewayError;
}

/** "not_an_instance": no step of the discovery knew a gateway. */
export class DiscoveryError extends GatewayError {
  override readonly name = "DiscoveryError";
  /** What was tried, in order. */
  readonly steps: readonly StepError[];

  /** @internal */
  constructor(url: string, steps: readonly StepError[]) {
    super({ code: "not_an_instance", message: [`no instance found at ${url}`, ...steps.map((s) => s.error.message)].join("; ") });
    this.steps = steps;
  }
}

/**
 * An answer of the API that says no. Its code is "authentication_failed" if the
 * token was refused, "rate_limited" if there were too many requests, and
 * "http_error" otherwise.
 */
export class HttpError extends GatewayError {
  override readonly name = "HttpError";
  /** The status of the answer; below 300 if it was a good one that lacks what it is for, 0 for a redirect that the browser hides. */
  readonly status: number;
  /** The code of the error in the protocol; 0 if there was none. */
  readonly apiCode: number;
  /** How long the server wants to be left alone, in milliseconds; 0 if it did not say. */
  readonly retryAfter: number;

  /** @internal */
  constructor(request: string, status: number, message: string, apiCode = 0, retryAfter = 0) {
    const code = status === 401 || apiCode === 40001 ? "authentication_failed" : status === 429 ? "rate_limited" : "http_error";
    super({
      code,
      message: `${request} was answered with ${status || "a redirect"}${message && `: ${message}`}${apiCode ? ` (code ${apiCode})` : ""}${retryAfter ? `; try again in ${retryAfter / 1000} s` : ""}`,
    });
    this.status = status;
    this.apiCode = apiCode;
    this.retryAfter = retryAfter;
  }
}

/** What is wrong with a field of a form. */
export interface FieldError {
  /** A word that stays the same in all languages, such as EMAIL_ALREADY_REGISTERED. */
  readonly code: string;
  /** For the person who filled in the form. */
  readonly message: string;
}

/** What is wrong with a form. Its code is "authentication_failed" if the login or the password is wrong, and "invalid_form" otherwise. */
export class FieldErrors extends GatewayError {
  override readonly name = "FieldErrors";
  /** By the names of the fields, parts of a field with a dot between; "" is the form as a whole. */
  readonly fields: Readonly<Record<string, readonly FieldError[]>>;

  /** @internal */
  constructor(fields: Record<string, FieldError[]>) {
    const all = Object.entries(fields).flatMap(([name, list]) => list.map((f) => ({ ...f, name })));
    super({
      code: all.some((f) => /^INVALID_(LOGIN|PASSWORD)$/.test(f.code)) ? "authentication_failed" : "invalid_form",
      message: ["the server does not take the form", ...all.map((f) => `${f.name && `${f.name}: `}${f.message}${f.code && ` (${f.code})`}`)].join("; "),
    });
    this.fields = fields;
  }
}

/** "captcha_required": a person has to solve a captcha first. Show one, and call continue with its solution. */
export class CaptchaRequired extends GatewayError {
  override readonly name = "CaptchaRequired";
  /** What to show the captcha with; may be empty. */
  readonly siteKey: string;
  /** Whose captcha it is: "hcaptcha", "recaptcha" … */
  readonly service: string;
  /** The service's words, such as "captcha-required", or why a solution was not taken. */
  readonly reasons: readonly string[];
  /** Where it is not empty, it has to be given to the captcha. */
  readonly rqData: string;
  /** Asks again, with the solution of the captcha. Rejects as what was first called does. */
  readonly continue: (solution: string, options?: { signal?: AbortSignal | undefined }) => Promise<LoggedInUser>;

  /** @internal */
  constructor(info: Pick<CaptchaRequired, "siteKey" | "service" | "reasons" | "rqData" | "continue">) {
    super({ code: "captcha_required", message: `the server asks for a captcha${info.service && ` of ${info.service}`}${info.reasons.length ? ` (${info.reasons.join(", ")})` : ""}` });
    this.siteKey = info.siteKey;
    this.service = info.service;
    this.reasons = info.reasons;
    this.rqData = info.rqData;
    this.continue = info.continue;
  }
}

/** A way to prove who one is besides the password. */
export type MfaMethod = "totp" | "backup" | "sms" | "webauthn";

/** "mfa_required": the password is right and a second factor is needed. Ask for a code, and call continue with it. */
export class MfaRequired extends GatewayError {
  override readonly name = "MfaRequired";
  /** The methods that the account has, as far as the server tells. */
  readonly methods: readonly MfaMethod[];
  /**
   * Finishes the login with a code of the authenticator app (a Spacebar server
   * takes backup codes as well). A wrong one is an HttpError with apiCode 60008,
   * after which it may be called again.
   */
  readonly continue: (code: string, options?: { signal?: AbortSignal | undefined }) => Promise<LoggedInUser>;

  /** @internal */
  constructor(ticket: string, methods: readonly MfaMethod[], next: MfaRequired["continue"]) {
    super({ code: "mfa_required", message: `the account needs a second factor (${methods.join(", ")})` });
    secrets.set(this, ticket);
    this.methods = methods;
    this.continue = next;
  }

  /** Stands for the login until the code is there. It is a secret. */
  get ticket(): string {
    return secrets.get(this)!;
  }
}

/**
 * The login, or the registration, went well, but the connection to the gateway
 * could not be made; the code is that of why: "aborted" if the signal did it,
 * "observer_threw" if setup threw. Try again with withToken: to log in
 * again would make another session, and to register again would fail.
 */
export class NotConnected extends GatewayError {
  override readonly name = "NotConnected";
  /** Where the token is good. */
  readonly instance: Instance;

  /** @internal */
  constructor(token: string, instance: Instance, cause: GatewayError) {
    super({ code: cause.code, message: `logged in, but not connected: ${cause.message}`, closeCode: cause.closeCode ?? 0, fatal: cause.fatal }, { cause });
    secrets.set(this, token);
    this.instance = instance;
  }

  /** The token of the user. */
  get token(): string {
    return secrets.get(this)!;
  }
}

// Consoles and inspectors show private fields; they cannot look in here.
const secrets = /* @__PURE__ */ new WeakMap<object, string>();

// --------------------------------------------------------------------- HTTP

const DISCOVERY_LIMIT = 65_536; // bytes of an answer
const ANSWER_LIMIT = 1_048_576;

interface Captcha {
  key: string;
  rqToken: string;
  sessionId: string;
}

interface Ask {
  /** In errors, such as "POST /auth/login". */
  name: string;
  url: string;
  body?: unknown;
  token?: string;
  captcha?: Captcha;
  /** What was sent and must not come back in an error. */
  secrets: string[];
  /** Asks again, with a captcha. */
  again?: (captcha: Captcha, signal: AbortSignal | undefined) => Promise<LoggedInUser>;
}

/** Makes a request and returns the answer. Rejects with the refusal of the server, or why there was no answer. */
async function ask(r: Ask, { signal, timeout = 15_000 }: RequestOptions): Promise<Answer> {
  if (typeof timeout !== "number" || !(timeout > 0)) throw fail("invalid_option", "timeout is a number of milliseconds");
  const secret = r.body !== undefined || r.token !== undefined; // and so it may not be redirected
  const headers: Record<string, string> = { Accept: "application/json" };
  if (r.body !== undefined) headers["Content-Type"] = "application/json";
  if (r.token) headers["Authorization"] = r.token;
  // Spacebar reads the key in the body and knows none of the rest; a server that
  // names a challenge wants it all in headers.
  const { key, rqToken, sessionId } = r.captcha ?? { key: "", rqToken: "", sessionId: "" };
  if (rqToken || sessionId) {
    if (key) headers["X-Captcha-Key"] = key;
    if (rqToken) headers["X-Captcha-Rqtoken"] = rqToken;
    if (sessionId) headers["X-Captcha-Session-Id"] = sessionId;
  }
  const over = new AbortController();
  const abort = () => over.abort();
  const timer = timeout <= LONGEST ? setTimeout(abort, timeout) : undefined;
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const response = await fetch(r.url, {
      method: r.body === undefined ? "GET" : "POST",
      headers,
      body: r.body === undefined ? null : JSON.stringify(r.body),
      redirect: secret ? "manual" : "follow",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      cache: "no-store",
      signal: over.signal,
    });
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      throw new HttpError(r.name, response.status, "credentials do not follow redirects; give the URL of the instance itself");
    }
    if (response.redirected && !(r.url.startsWith("https:") && response.url.startsWith("https:"))) {
      throw fail("protocol", `${r.name} redirects, and only https may redirect, and only to https`);
    }
    const body = await read(response, r.name, secret ? ANSWER_LIMIT : DISCOVERY_LIMIT);
    const answer = maybe(() => JSON.parse(body) as unknown);
    if (!response.ok) throw refusal(r, response, object(answer));
    if (answer === undefined) {
      const kind = clean((response.headers.get("Content-Type") ?? "").split(";")[0]!, r.secrets);
      throw fail("protocol", `${r.name} was answered with what is not JSON${kind && kind !== "application/json" ? ` but ${kind}` : ""}`);
    }
    return object(answer);
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    if (signal?.aborted) throw fail("aborted", `${r.name} was aborted`, signal.reason);
    const host = new URL(r.url).host;
    if (over.signal.aborted) throw fail("timeout", `${r.name} was not answered by ${host} within ${timeout} ms`);
    const mixed = r.url.startsWith("http:") && globalThis.location?.protocol === "https:" ? "; a page loaded over https can use only https" : "";
    throw fail("dial_failed", `could not reach ${host}: ${clean(describe(thrown), r.secrets)}${mixed}`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Reads a body that may not be larger than the limit. */
async function read(response: Response, name: string, limit: number): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let all = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return all + decoder.decode();
    if ((size += value.length) > limit) {
      reader.cancel().catch(() => {});
      throw fail("protocol", `${name} was answered with more than ${limit} bytes`);
    }
    all += decoder.decode(value, { stream: true });
  }
}

/** Makes an error of an answer that says no. */
function refusal(r: Ask, response: Response, a: Answer): GatewayError {
  const { again } = r;
  if (again && Array.isArray(a["captcha_key"])) {
    const [rqToken, sessionId] = [text(a["captcha_rqtoken"]), text(a["captcha_session_id"])];
    return new CaptchaRequired({
      siteKey: text(a["captcha_sitekey"]),
      service: clean(text(a["captcha_service"]), r.secrets),
      reasons: a["captcha_key"].map((reason) => clean(text(reason), r.secrets)),
      rqData: text(a["captcha_rqdata"]),
      continue: (key, { signal } = {}) => again({ key, rqToken, sessionId }, signal),
    });
  }
  const fields = fieldErrors(a["errors"], a["_ajvErrors"], r.secrets);
  if (Object.keys(fields).length > 0) return new FieldErrors(fields);
  const { status, headers } = response;
  let seconds = 0;
  if (status === 429) {
    const header = headers.get("Retry-After") ?? "";
    seconds = Number(a["retry_after"]) || Number(header) || (Date.parse(header) - Date.now()) / 1000;
  }
  return new HttpError(r.name, status, clean(text(a["message"]), r.secrets), whole(a["code"], 0), seconds > 0 ? Math.ceil(Math.min(seconds, 86_400) * 1000) : 0);
}

/**
 * Reads what is wrong with which field. Spacebar puts what its schema says under
 * the path of the object that it is about, the last error of each; the list of
 * its validator has them all and knows the field that is missing.
 */
function fieldErrors(errors: unknown, schema: unknown, secrets: string[]): Record<string, FieldError[]> {
  const fields: Record<string, FieldError[]> = Object.create(null); // a server chooses the names
  let left = 100;
  const add = (name: string, code: unknown, message: unknown) => {
    const error = { code: clean(typeof code === "number" ? String(code) : text(code), secrets), message: clean(text(message), secrets) };
    if ((error.code || error.message) && left-- > 0) (fields[clean(name, secrets)] ??= []).push(error);
  };
  const join = (name: string, part: string) => [name, ...part.split("/")].filter(Boolean).join(".");
  const walk = (name: string, members: unknown, depth: number) => {
    for (const [key, value] of Object.entries(object(members))) {
      if (key !== "_errors") depth < 8 && walk(join(name, key), value, depth + 1);
      else if (Array.isArray(value)) for (const e of value) add(name, object(e)["code"], object(e)["message"]);
    }
  };
  walk("", errors, 0);
  for (const e of Array.isArray(schema) ? schema.map(object) : []) {
    const name = join(join("", text(e["instancePath"])), text(object(e["params"])["missingProperty"]));
    if (!fields[clean(name, secrets)]) add(name, e["keyword"], e["message"]);
  }
  return fields;
}

/**
 * Makes a text that a server chose fit to be shown: bounded, on one line, and
 * without the secrets that were sent to it. Secrets of up to three characters are
 * part of too many words to be found.
 */
function clean(text: string, secrets: readonly string[]): string {
  for (const s of secrets) if (s.length > 3) text = text.replaceAll(s, "[redacted]");
  const characters = [...text.slice(0, 500)];
  const short = characters.length > 200 ? `${characters.slice(0, 200).join("")}…` : characters.join("");
  // Control characters, line separators, and what changes the direction.
  return short.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, " ");
}

// -------------------------------------------------------------------- users

/** An account that is logged in and connected. */
export class LoggedInUser {
  /** The handle of the connection, which was ready when the user was returned. */
  readonly handle: GatewayHandle;
  /** The instance that the account is on. */
  readonly instance: Instance;
  /** The id of the account; null only where a session was resumed with a token. */
  readonly id: string | null;
  /** The settings of the account when it connected; null where they are not known. */
  readonly settings: UserSettings | null;

  /** @internal Made by login, register and withToken. */
  constructor(handle: GatewayHandle, token: string, instance: Instance, id: string | null, settings: UserSettings | null) {
    secrets.set(this, token);
    this.handle = handle;
    this.instance = instance;
    this.id = id;
    this.settings = settings;
  }

  /** The token of the account. Consoles and JSON do not show it. */
  get token(): string {
    return secrets.get(this)!;
  }

  /** Ends the session and the connection. The token stays valid. */
  close(options?: CloseOptions): Promise<void> {
    return this.handle.close(options);
  }

  /** The id and the URL of the instance. The token has to be saved by itself, and on purpose. */
  toJSON(): { id: string | null; instance: string } {
    return { id: this.id, instance: this.instance.url };
  }
}

/** What an account logs in with. */
export interface Credentials {
  /** An email address or a phone number. */
  login: string;
  password: string;
  /** Takes back that the account was disabled or to be deleted. */
  undelete?: boolean | undefined;
  /** The solution of a captcha that was shown beforehand. Most programs wait for CaptchaRequired instead. */
  captchaKey?: string | undefined;
}

/** A new account. Only username and consent are needed by all servers; each decides on the rest. */
export interface Registration {
  username: string;
  /** The name that others see. */
  globalName?: string | undefined;
  email?: string | undefined;
  password?: string | undefined;
  /** As YYYY-MM-DD. */
  dateOfBirth?: string | undefined;
  /** To the terms of the instance. Ask for it. */
  consent: boolean;
  /** To a guild. Some instances are open with an invite only. */
  invite?: string | undefined;
  captchaKey?: string | undefined;
}

/**
 * Logs in to an instance and connects. Rejects with CaptchaRequired or
 * MfaRequired, which know how to go on; with FieldErrors or another HttpError;
 * with NotConnected, which has the token, if it is not connected then; with what discover rejects
 * with, or "dial_failed", "timeout", "aborted".
 */
export async function login(instance: string | URL | Instance, credentials: Credentials, options: UserOptions = {}): Promise<LoggedInUser> {
  checkForm(credentials, ["login", "password", "captchaKey"], ["undelete"], "login");
  check(options, USER, "login");
  const { login, password, undelete, captchaKey: key = "" } = credentials;
  const form = { path: "/auth/login", secrets: [password], fill: (captcha_key?: string) => ({ login, password, undelete, captcha_key }) };
  return submit(await at(instance, options), form, { key, rqToken: "", sessionId: "" }, options);
}

/** Makes an account at an instance and connects as its user. Rejects as login does. */
export async function register(instance: string | URL | Instance, registration: Registration, options: UserOptions = {}): Promise<LoggedInUser> {
  checkForm(registration, ["username", "globalName", "email", "password", "dateOfBirth", "invite", "captchaKey"], ["consent"], "register");
  check(options, USER, "register");
  const { username, globalName, email, password, dateOfBirth, consent, invite, captchaKey: key = "" } = registration;
  const form = {
    path: "/auth/register",
    secrets: [password ?? ""],
    // What is empty is left out: a Spacebar server would check it.
    fill: (captcha_key?: string) => ({
      username,
      global_name: globalName || undefined,
      email: email || undefined,
      password: password || undefined,
      date_of_birth: dateOfBirth || undefined,
      consent,
      invite: invite || undefined,
      captcha_key,
    }),
  };
  return submit(await at(instance, options), form, { key, rqToken: "", sessionId: "" }, options);
}

/** Connects with a token. Rejects with what discover and connect reject with. */
export async function withToken(instance: string | URL | Instance, token: string, options: UserOptions = {}): Promise<LoggedInUser> {
  checkToken(token);
  check(options, USER, "withToken");
  return open(await at(instance, options), token, null, null, options);
}

/** Refuses a form that is none, without a word on what is in it. */
function checkForm(form: unknown, texts: readonly string[], flags: readonly string[], where: string): void {
  if (typeof form !== "object" || form === null) throw fail("invalid_option", `what ${where} is called with must be an object`);
  check(form, [...texts, ...flags], where);
  for (const [key, value] of Object.entries(form)) {
    const type = flags.includes(key) ? "boolean" : "string";
    if (value !== undefined && typeof value !== type) throw fail("invalid_option", `${key} must be a ${type}`);
  }
}

/** Refuses what could not be sent in a header: the errors of that would show it. */
function checkToken(token: unknown): asserts token is string {
  if (typeof token !== "string" || !/^[ -~]+$/.test(token)) throw fail("invalid_option", token === "" ? "the token is empty" : "the token has characters in it that no token has, such as line breaks");
}

interface Form {
  path: string;
  secrets: string[];
  fill: (captchaKey?: string) => unknown;
}

/** Posts a form, and connects with the token it is answered with. */
async function submit(instance: Instance, form: Form, captcha: Captcha, options: UserOptions): Promise<LoggedInUser> {
  const name = `POST ${form.path}`;
  const given = (signal: AbortSignal | undefined) => (signal ? { ...options, signal } : options);
  const a = await ask(
    {
      name,
      url: instance.api + form.path,
      body: form.fill(captcha.key || undefined),
      captcha,
      secrets: [...form.secrets, captcha.key],
      again: (captcha, signal) => submit(instance, form, captcha, given(signal)),
    },
    options,
  );
  const token = text(a["token"]);
  if (token) {
    if (!/^[ -~]+$/.test(token)) throw new HttpError(name, 200, "what it gave is no token");
    const settings = a["settings"] ? (object(a["settings"]) as unknown as UserSettings) : null;
    try {
      return await open(instance, token, text(a["user_id"]) || null, settings, options);
    } catch (thrown) {
      throw new NotConnected(token, instance, typed(thrown));
    }
  }
  const ticket = text(a["ticket"]);
  if (!ticket) throw new HttpError(name, 200, "it gave no token");
  const methods: MfaMethod[] = (["backup", "sms", "webauthn"] as const).filter((m) => a[m]);
  if (a["totp"] ?? true) methods.unshift("totp"); // a server that does not list the methods has the one that all have
  throw new MfaRequired(ticket, methods, (code, { signal } = {}) =>
    submit(instance, { path: "/auth/mfa/totp", secrets: [ticket, code], fill: () => ({ code, ticket }) }, { key: "", rqToken: "", sessionId: "" }, given(signal)),
  );
}

/** What connect has thrown, or else the caller's own setup. */
const typed = (thrown: unknown) => (thrown instanceof GatewayError ? thrown : fail("observer_threw", `setup threw: ${describe(thrown)}`, thrown));

/** Connects, and reads in READY who it is. */
async function open(instance: Instance, token: string, id: string | null, settings: UserSettings | null, options: UserOptions): Promise<LoggedInUser> {
  const { timeout: _, setup, ...rest } = options;
  let told!: (ready?: DispatchEvents["READY"]) => void;
  const ready = new Promise<DispatchEvents["READY"] | undefined>((resolve) => (told = resolve));
  let stops: Unsubscribe[] = [];
  try {
    const handle = await connect(instance.gateway, {
      ...gatewayOptions(instance, rest),
      token,
      setup(handle) {
        stops = [handle.once("READY", told), handle.observeState(({ state, resumed }) => state === "ready" && resumed && told())];
        setup?.(handle);
      },
    });
    // The payload follows the state at once, if a server sends one that can be read.
    const late = setTimeout(told, 1000);
    const known = await ready;
    clearTimeout(late);
    return new LoggedInUser(handle, token, instance, text(object(known?.user)["id"]) || id, known?.user_settings ?? settings);
  } finally {
    for (const stop of stops) stop();
  }
}

// ------------------------------------------------------------------- shards

/** Limit of the sessions that a bot may begin. */
export interface SessionStartLimit {
  /** Sessions that may be begun in a period; 0 for any number. */
  readonly total: number;
  /** What is left of them in this period. */
  readonly remaining: number;
  /** When the next period begins, in milliseconds. */
  readonly resetAfter: number;
  /** How many shards may identify at the same time. */
  readonly maxConcurrency: number;
}

/** How a bot should connect. */
export interface GatewayBot {
  /** The URL of the gateway, for connectShards. */
  readonly url: string;
  /** How many shards the server advises. */
  readonly shards: number;
  readonly sessionStartLimit: SessionStartLimit;
}

/**
 * Asks how a bot should connect. The token is sent as it is: servers that are not
 * Spacebar want "Bot " before it. A Spacebar server needs none: pass "". Rejects
 * with an HttpError, "dial_failed", "timeout" or "aborted".
 */
export async function gatewayBot(instance: string | URL | Instance, token: string, options: RequestOptions = {}): Promise<GatewayBot> {
  check(options, REQUEST, "gatewayBot");
  if (token !== "") checkToken(token);
  const found = await at(instance, options);
  const name = "GET /gateway/bot";
  const a = await ask({ name, url: `${found.api}/gateway/bot`, token, secrets: [token] }, options);
  const limit = object(a["session_start_limit"]);
  const bounded = (v: unknown, least: number) => Math.min(whole(v, least), 1 << 16);
  return {
    url: trimmed(usable(found.url, name, "gateway", a["url"], "ws", "wss")),
    shards: bounded(a["shards"], 1),
    sessionStartLimit: { total: whole(limit["total"], 0), remaining: whole(limit["remaining"], 0), resetAfter: whole(limit["reset_after"], 0), maxConcurrency: bounded(limit["max_concurrency"], 1) },
  };
}

/** The shard, of `shards`, that the events of a guild go to: (guild >> 22) % shards. What belongs to no guild goes to shard 0. */
export function shardId(guildId: string, shards: number): number {
  if (typeof guildId !== "string" || !/^\d{1,20}$/.test(guildId)) throw fail("invalid_option", "the id of a guild is a string of digits; a number would not be exact");
  if (!Number.isSafeInteger(shards) || shards < 1) throw fail("invalid_option", `the number of shards is a whole number from 1, not ${describe(shards)}`);
  return Number((BigInt(guildId) >> 22n) % BigInt(shards));
}

/** Options of connectShards: those of every connection, and: */
export interface ShardOptions extends Omit<ConnectOptions, "session" | "setup"> {
  /** How many shards there are, here and elsewhere; 1 by default. */
  shards?: number | undefined;
  /** The shards to connect; all by default. */
  ids?: readonly number[] | undefined;
  /** The limit that the server names; without it, one session begins after the other. */
  limit?: SessionStartLimit | undefined;
  /** Sessions to resume, by shard, as ShardGroup.sessions was. */
  sessions?: Readonly<Record<number, Session>> | undefined;
  /** Called with each handle before it connects; whatever it subscribes to misses nothing. */
  setup?: ((handle: GatewayHandle, shard: number) => void) | undefined;
}

/** What went wrong with one shard. The code is that of why. */
export class ShardError extends GatewayError {
  override readonly name = "ShardError";
  /** The number of the shard. */
  readonly shard: number;

  /** @internal */
  constructor(shard: number, cause: GatewayError) {
    super({ code: cause.code, message: `shard ${shard}: ${cause.message}`, closeCode: cause.closeCode ?? 0, fatal: cause.fatal }, { cause });
    this.shard = shard;
  }
}

/** "rate_limited": the server allows fewer sessions in this period than are needed. */
export class SessionLimitError extends GatewayError {
  override readonly name = "SessionLimitError";
  /** How many sessions would have to be begun. */
  readonly needed: number;
  /** How many the server allows yet in this period. */
  readonly remaining: number;
  /** Milliseconds until the next period. */
  readonly resetAfter: number;

  /** @internal */
  constructor(needed: number, { remaining, resetAfter }: SessionStartLimit) {
    super({ code: "rate_limited", message: `${needed} sessions are needed and the server allows ${remaining} more; try again in ${Math.ceil(resetAfter / 1000)} s` });
    this.needed = needed;
    this.remaining = remaining;
    this.resetAfter = resetAfter;
  }
}

/** Between one Identify and the next in a bucket, in milliseconds. */
const INTERVAL = 5000;

/**
 * Connects the shards of a bot to the gateway at url, and resolves when all are
 * ready. Shards whose ids have the same remainder by maxConcurrency connect one
 * after the other, with five seconds between one Identify and the next. From then
 * on they keep themselves connected until the group is closed, or one of them
 * comes to an end it cannot help: then all are closed.
 *
 * Rejects with a SessionLimitError before anything is connected, or with a
 * ShardError that has the code of what connect rejects with; then no shard is left
 * connected.
 */
export async function connectShards(url: string | URL, options: ShardOptions): Promise<ShardGroup> {
  const { shards: count = 1, ids: given, limit, sessions = {}, setup, signal, ...rest } = options;
  if (!Number.isSafeInteger(count) || count < 1) throw fail("invalid_option", `the number of shards is a whole number from 1, not ${describe(count)}`);
  const ids = [...(given ?? Array(count).keys())].sort((a, b) => a - b);
  if (ids.length === 0 || ids.some((id, i) => !Number.isSafeInteger(id) || id < 0 || id >= count || id === ids[i - 1])) {
    throw fail("invalid_option", `the ids of shards go from 0 to ${count - 1}, each once`);
  }
  const needed = ids.filter((id) => !sessions[id]).length;
  if (limit && limit.total > 0 && needed > limit.remaining) throw new SessionLimitError(needed, limit);

  const over = new AbortController();
  const abort = () => over.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const gone = new Promise<never>((_, reject) => over.signal.addEventListener("abort", () => reject(fail("aborted", "connecting was aborted", signal?.reason))));
  gone.catch(() => {});

  const handles = new Map<number, GatewayHandle>();
  let failed: ShardError | undefined;
  const buckets = new Map<number, number[]>();
  for (const id of ids) {
    const key = id % Math.max(1, limit?.maxConcurrency ?? 1);
    buckets.set(key, [...(buckets.get(key) ?? []), id]);
  }
  const work = [...buckets.values()].map(async (bucket) => {
    let free = Promise.resolve(); // when the bucket lets a shard identify
    const identified = () => void (free = new Promise((resolve) => setTimeout(resolve, INTERVAL)));
    for (const id of bucket) {
      try {
        if (over.signal.aborted) throw fail("aborted", "connecting was aborted", signal?.reason);
        const session = sessions[id];
        // A shard that is connected may identify again meanwhile.
        if (!session) for (let seen; seen !== free; ) await Promise.race([(seen = free), gone]);
        handles.set(
          id,
          await connect(url, {
            ...rest,
            identify: { ...(rest.identify ?? identifyCommon(rest.token ?? "")), shard: [id, count] },
            session,
            signal: over.signal,
            setup(handle) {
              handle.observeState(({ state }) => state === "identifying" && identified());
              setup?.(handle, id);
            },
          }),
        );
      } catch (thrown) {
        failed ??= new ShardError(id, typed(thrown));
        over.abort();
        return;
      }
    }
  });
  await Promise.all(work);
  signal?.removeEventListener("abort", abort);
  if (failed) {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
    throw failed;
  }
  return new ShardGroup(count, handles);
}

/** A number of shards that are connected. */
export class ShardGroup {
  /** How many shards there are, here and elsewhere. */
  readonly count: number;
  /** Settles when all shards are closed: with the error of the one that ended the group, or with null if it was closed by the page. Never rejects. */
  readonly done: Promise<ShardError | null>;
  readonly #owners: ReadonlyMap<number, GatewayHandle>;
  readonly #shards = new Map<number, GatewayHandle>(); // clones, which cannot close
  #finish!: (error: ShardError | null) => void;
  #over: Promise<void> | undefined;

  /** @internal Made by connectShards. */
  constructor(count: number, owners: ReadonlyMap<number, GatewayHandle>) {
    this.count = count;
    this.#owners = owners;
    this.done = new Promise((resolve) => (this.#finish = resolve));
    for (const id of [...owners.keys()].sort((a, b) => a - b)) {
      const handle = owners.get(id)!;
      this.#shards.set(id, handle.clone());
      void handle.done.then((error) => this.#end(error && new ShardError(id, error), {}));
    }
  }

  /** The handle of a shard; undefined if it is not of this group. Closing it ends what was subscribed through it, and not the shard. */
  shard(id: number): GatewayHandle | undefined {
    return this.#shards.get(id);
  }

  /** The handle of the shard that the events of a guild come from, and to send with what is about it; undefined if it is not of this group. */
  guild(guildId: string): GatewayHandle | undefined {
    return this.#shards.get(shardId(guildId, this.count));
  }

  /** The sessions, for the `sessions` option of connectShards. They stay valid after a resumable close. */
  get sessions(): Record<number, Session> {
    return Object.fromEntries([...this.#owners].flatMap(([id, { session }]) => (session ? [[id, session]] : [])));
  }

  /** Calls subscribe with every shard, in the order of their ids, and returns what ends all that was subscribed. */
  each(subscribe: (handle: GatewayHandle, shard: number) => Unsubscribe): Unsubscribe {
    const stops = [...this.#shards].map(([id, handle]) => subscribe(handle, id));
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** Calls fn with each event of a name, or of several names, on any shard. See GatewayHandle.observe. */
  observe<N extends EventName>(name: N | readonly N[], fn: (data: DispatchEvents[N], event: EventInfo, shard: number) => void, options?: ObserveOptions): Unsubscribe;
  observe(name: string | readonly string[], fn: (data: unknown, event: EventInfo, shard: number) => void, options?: ObserveOptions): Unsubscribe;
  observe(name: string | readonly string[], fn: (data: never, event: EventInfo, shard: number) => void, options?: ObserveOptions): Unsubscribe {
    return this.each((handle, id) => handle.observe(name, (data, event) => fn(data as never, event, id), options));
  }

  /** Ends the sessions and the connections of all shards. Settles when that has happened. */
  close(options: CloseOptions = {}): Promise<void> {
    check(options, ["resumable"], "close");
    return this.#end(null, options);
  }

  #end(error: ShardError | null, options: CloseOptions): Promise<void> {
    return (this.#over ??= Promise.all([...this.#owners.values()].map((handle) => handle.close(options))).then(() => this.#finish(error)));
  }
}
