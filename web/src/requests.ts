// The sends that wait for their answer.

import type { Connection, StateChange } from "./connection.js";
import { describe, fail, RateLimitError, type GatewayError } from "./errors.js";
import type { Unsubscribe } from "./observers.js";
import { sends, type DispatchEvents, type EventName, type SendName, type SendPayloads } from "./protocol.gen.js";
import { validate } from "./validate.js";

/** Options of a send. */
export interface SendOptions {
  /** Takes the send back if it still waits for the rate limit; it then fails with "aborted". */
  signal?: AbortSignal | undefined;
}

/** Options of whatever waits for an event. */
export interface WaitOptions extends SendOptions {
  /**
   * How long to wait, in milliseconds, before failing with "timeout"; 30000 by
   * default, Infinity for ever. An answer has that long from when its request was
   * sent, or from one part of it to the next.
   */
  timeout?: number | undefined;
}

/** The members of guilds that were asked for, from all chunks. */
export interface GuildMembers {
  /** The members, in the order in which the chunks came. */
  members: DispatchEvents["GUILD_MEMBERS_CHUNK"]["members"];
  /** Their presences, where these were asked for and there are any. */
  presences: NonNullable<DispatchEvents["GUILD_MEMBERS_CHUNK"]["presences"]>;
  /** The ids asked for that are no members. */
  notFound: string[];
}

/** What a voice channel is joined with. */
export interface VoiceConnection {
  /** This session's voice state as the server has it. */
  state: DispatchEvents["VOICE_STATE_UPDATE"];
  /** Where to connect to; null when a channel was left, or nothing but a flag changed. In a session taken over from elsewhere it may have been joined there: then null if none came within ten seconds. */
  server: DispatchEvents["VOICE_SERVER_UPDATE"] | null;
}

/** What a stream is sent or watched with. */
export interface StreamConnection {
  /** The stream as the server has it. */
  stream: DispatchEvents["STREAM_CREATE"];
  /** Where to connect to. */
  server: DispatchEvents["STREAM_SERVER_UPDATE"];
}

/** What a speed test is made with. */
export interface SpeedTest {
  /** The test as the server has it. */
  test: DispatchEvents["SPEED_TEST_CREATE"];
  /** Where to connect to. */
  server: DispatchEvents["SPEED_TEST_SERVER_UPDATE"];
}

type Request<N extends SendName, T> = (payload: SendPayloads[N], options?: WaitOptions) => Promise<T>;
type Ping<T> = (payload?: null, options?: WaitOptions) => Promise<T>;

/**
 * The functions that send a message and wait for its answer. They subscribe
 * before they send, so no answer is missed, and reject with what a send rejects
 * with; with "rate_limited" (a RateLimitError) if the server refuses this very
 * request, with "timeout", "aborted", and with "disconnected" or "closed" when the
 * session ends, since the answer then never comes.
 */
export interface RequestMethods {
  /** Sends Identify and waits for READY. For handles made by spawn. */
  identify: Request<"identify", DispatchEvents["READY"]>;
  /** Sends Resume and waits for RESUMED. For handles made by spawn. Rejects with "disconnected" if the server does not know the session; the connection then waits for Identify. */
  resume: Request<"resume", DispatchEvents["RESUMED"]>;
  /** Requests members of one or several guilds and waits for all chunks of all of them. */
  requestGuildMembers: Request<"requestGuildMembers", GuildMembers>;
  /**
   * Requests members of one or several guilds and iterates over the chunks, in the
   * order of each guild's chunks. The message is sent when the loop begins. Chunks
   * wait while the loop's body runs; an error is thrown after what came before it.
   */
  guildMemberChunks: (payload: SendPayloads["requestGuildMembers"], options?: WaitOptions) => AsyncGenerator<DispatchEvents["GUILD_MEMBERS_CHUNK"], void, undefined>;
  /** Searches the members that were active of late. */
  searchRecentMembers: Request<"searchRecentMembers", DispatchEvents["GUILD_MEMBERS_CHUNK"]>;
  /** Joins, moves between or leaves voice channels, and waits for the voice state and, if a channel was joined, the voice server. */
  updateVoiceState: Request<"updateVoiceState", VoiceConnection>;
  /** Asks again for the voice server of the current call. */
  pingVoiceServer: Ping<DispatchEvents["VOICE_SERVER_UPDATE"]>;
  /** Joins, leaves or mutes in the voice calls of lobbies, and waits for this session's voice state in each, in the order in which they come. pingLobbyVoiceServer tells where to connect to. */
  updateLobbyVoiceStates: Request<"updateLobbyVoiceStates", DispatchEvents["LOBBY_VOICE_STATE_UPDATE"][]>;
  /** Asks again for the voice server of a lobby. */
  pingLobbyVoiceServer: Request<"pingLobbyVoiceServer", DispatchEvents["LOBBY_VOICE_SERVER_UPDATE"]>;
  /** Begins to share the screen, and waits for the stream and its server. */
  createStream: Request<"createStream", StreamConnection>;
  /** Begins to watch a stream, and waits for the stream and its server. */
  watchStream: Request<"watchStream", StreamConnection>;
  /** Ends a stream, or stops watching it, and waits until that is so. */
  deleteStream: Request<"deleteStream", DispatchEvents["STREAM_DELETE"]>;
  /** Asks again for the server of a stream. */
  pingStreamServer: Request<"pingStreamServer", DispatchEvents["STREAM_SERVER_UPDATE"]>;
  /** Pauses a stream or lets it go on, and waits until that is so. */
  setStreamPaused: Request<"setStreamPaused", DispatchEvents["STREAM_UPDATE"]>;
  /** Begins a speed test, and waits for it and its server. @deprecated The protocol has done away with it. */
  createSpeedTest: Request<"createSpeedTest", SpeedTest>;
  /** Ends a speed test, and waits until that is so. @deprecated The protocol has done away with it. */
  deleteSpeedTest: Ping<DispatchEvents["SPEED_TEST_DELETE"]>;
  /** Requests the last message of each of some channels. */
  requestLastMessages: Request<"requestLastMessages", DispatchEvents["LAST_MESSAGES"]>;
  /** Requests the status texts of a guild's voice channels. */
  requestChannelStatuses: Request<"requestChannelStatuses", DispatchEvents["CHANNEL_STATUSES"]>;
  /** Requests details of a guild's voice channels. */
  requestChannelInfo: Request<"requestChannelInfo", DispatchEvents["CHANNEL_INFO"]>;
  /** Requests how many members can see a channel. */
  requestChannelMemberCount: Request<"requestChannelMemberCount", DispatchEvents["CHANNEL_MEMBER_COUNT_UPDATE"]>;
  /** Asks which of the things a client knows are gone. */
  requestDeletedEntityIDs: Request<"requestDeletedEntityIDs", DispatchEvents["DELETED_ENTITY_IDS"]>;
  /** Asks for channels of a guild again that came obfuscated. */
  resyncGuildChannels: Request<"resyncGuildChannels", DispatchEvents["CHANNEL_SYNC"]>;
  /** Requests the soundboard sounds of guilds, and waits for those of each, in the order in which they come. */
  requestSoundboardSounds: Request<"requestSoundboardSounds", DispatchEvents["SOUNDBOARD_SOUNDS"][]>;
  /** Requests the members and presences of guilds, and waits for those of each, in the order in which they come. */
  requestGuildSync: Request<"requestGuildSync", DispatchEvents["GUILD_SYNC"][]>;
  /** Subscribes to a guild's events and member list and waits for the first member list. Servers send none if the payload names no channels. */
  lazyRequest: Request<"lazyRequest", DispatchEvents["GUILD_MEMBER_LIST_UPDATE"]>;
  /** Subscribes to guilds and waits for a member list of each that the payload names channels of, in the order in which they come. */
  updateGuildSubscriptions: Request<"updateGuildSubscriptions", DispatchEvents["GUILD_MEMBER_LIST_UPDATE"][]>;
  /** Asks about the call of a private channel and waits for it. */
  requestCallConnect: Request<"requestCallConnect", DispatchEvents["CALL_CREATE"]>;
  /** Alias of requestCallConnect. */
  callSync: Request<"requestCallConnect", DispatchEvents["CALL_CREATE"]>;
}

const WAIT = 30_000;
/** The longest time that a timer can be set to, in ms: with more it fires at once. */
export const LONGEST = 2 ** 31 - 1;

/** A promise that is settled by what `begin` subscribes to, or by time, signal or close. Time runs from the first `restart`. */
export function wait<T>(
  c: Connection,
  options: WaitOptions,
  late: string,
  begin: (resolve: (value: T) => void, reject: (error: GatewayError) => void, restart: () => void) => Unsubscribe[],
): Promise<T> {
  const { signal, timeout = WAIT } = options;
  if (typeof timeout !== "number" || !(timeout >= 0)) return Promise.reject(fail("invalid_option", `timeout is a number of milliseconds, or Infinity, not ${describe(timeout)}`));
  if (c.state === "closed") return Promise.reject(fail("closed", "the handle is closed"));
  if (signal?.aborted) return Promise.reject(fail("aborted", "the wait was aborted", signal.reason));
  return new Promise<T>((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stops: Unsubscribe[] = [];
    let settled = false;
    const settle = (finish: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      for (const stop of stops) stop();
      finish();
    };
    const rejected = (error: GatewayError) => settle(() => reject(error));
    const aborted = () => rejected(fail("aborted", "the wait was aborted", signal?.reason));
    const restart = () => {
      clearTimeout(timer);
      if (!settled && timeout <= LONGEST) timer = setTimeout(() => rejected(fail("timeout", `${late} within ${timeout} ms`)), timeout);
    };
    stops = [c.onDone((error) => rejected(error ?? fail("closed", "the handle was closed"))), ...begin((value) => settle(() => resolve(value)), rejected, restart)];
    if (settled) for (const stop of stops) stop();
    else signal?.addEventListener("abort", aborted);
  });
}

/** Sends a payload of any kind. */
export async function post(c: Connection, op: number, payload: unknown, signal: AbortSignal | undefined): Promise<void> {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload ?? null);
  } catch (thrown) {
    throw fail("invalid_payload", `the payload of opcode ${op} cannot be made JSON: ${describe(thrown)}`, thrown);
  }
  if (text === undefined) throw fail("invalid_payload", `the payload of opcode ${op} cannot be made JSON`);
  if (op === sends.updateVoiceState) channelsOf(c);
  return c.send(op, text, signal);
}

/** Refuses options that do not exist, so that a slip of the pen does not go unnoticed. */
export function check(options: unknown, names: readonly string[], where: string): void {
  if (typeof options !== "object" || options === null) throw fail("invalid_option", `the options of ${where} must be an object, not ${describe(options)}`);
  for (const key of Object.keys(options)) {
    if (!names.includes(key)) throw fail("invalid_option", `${where} has no option "${key}"; it has ${names.join(", ")}`);
  }
}

// A server's events are what they are: what follows reads them as they should be,
// and takes what it trips over for an answer that cannot be read.
/* eslint-disable @typescript-eslint/no-explicit-any */
type Data = any;

/** Handed every event that may be the answer, until it calls found. part tells that a part of the answer was there. */
type Take = (data: Data, found: (value: any) => void, part: () => void, event: EventName) => void;

/** Sends a payload that has been checked, and waits for what `take` finds. */
async function ask(c: Connection, name: SendName, payload: Data, options: WaitOptions | undefined, events: readonly EventName[], take: Take): Promise<Data> {
  check(options ?? {}, ["signal", "timeout"], name);
  validate(name, payload);
  const auth = name === "identify" || name === "resume";
  // Whatever the page has not been told yet is not about this request.
  if (!auth && c.state !== "ready" && c.state !== "closed") throw fail("not_ready", `cannot send ${name}: there is no session at present`);
  return wait(c, options ?? {}, `the server did not answer ${name}`, (resolve, reject, restart) => {
    const back = new AbortController();
    const stops = events.map((event) =>
      c.events.add(event, (data: Data) => {
        try {
          take(data, resolve, restart, event);
        } catch (thrown) {
          reject(fail("malformed_message", `the answer to ${name} is not what it should be: ${describe(thrown)}`, thrown));
        }
      }),
    );
    stops.push(
      c.events.add("RATE_LIMITED", (limited: Data) => {
        if (refused(limited, name, payload)) reject(new RateLimitError(name, sends[name], limited.retry_after));
      }),
      c.lifecycle.add("state", ({ state }: StateChange) => {
        if (state === "ready" || (auth && (state === "identifying" || state === "resuming"))) return;
        if (state !== "closed") reject(fail("disconnected", `the session ended before the answer to ${name} came`));
      }),
      () => back.abort(),
    );
    post(c, sends[name], payload, back.signal).then(restart, reject);
    return stops;
  });
}

/** Whether the server refuses this very request. */
function refused(limited: Data, name: SendName, payload: Data): boolean {
  if (limited?.opcode !== sends[name]) return false;
  const { nonce, guild_id: guild } = limited.meta ?? {};
  if (nonce != null) return nonce === payload?.nonce;
  const guilds = [Array.isArray(payload) ? payload : (payload?.guild_id ?? payload?.guild_ids ?? Object.keys(payload?.subscriptions ?? {}))].flat();
  return guild == null || guilds.length === 0 || guilds.includes(guild);
}

type Asker = (c: Connection, name: SendName, payload: Data, options?: WaitOptions) => Promise<Data> | AsyncGenerator<Data, void, undefined>;

/** The answer is the first event in which these fields are as they were sent. */
const first =
  (event: EventName, ...same: string[]): Asker =>
  (c, name, payload, options) =>
    ask(c, name, payload, options, [event], (data, found) => same.every((key) => data[key] === payload[key]) && found(data));

/** The answer is an event for each of some ids. */
const each =
  (event: EventName, ids: (payload: Data) => string[], idOf: string): Asker =>
  async (c, name, payload, options) => {
    validate(name, payload);
    const left = new Set(ids(payload));
    if (left.size === 0) throw fail("invalid_payload", `nothing of this ${name} is answered; send it without waiting`);
    const { id } = c.session ?? {};
    const all: Data[] = [];
    return ask(c, name, payload, options, [event], (data, found, part) => {
      if (event === "LOBBY_VOICE_STATE_UPDATE" && data.session_id !== id) return; // somebody else's
      if (!left.delete(data[idOf])) return;
      all.push(data);
      if (left.size === 0) found(all);
      else part();
    });
  };

/** The answer is two events, in any order: one that `is` the answer to the payload, and the server of the same key. */
const pair =
  (event: EventName, server: EventName, as: string, is: (data: Data, payload: Data) => boolean): Asker =>
  (c, name, payload, options) => {
    let what: Data;
    const servers = new Map<string, Data>();
    return ask(c, name, payload, options, [event, server], (data, found, part, of) => {
      if (of === server) servers.set(data.stream_key, data);
      else if (!what && is(data, payload)) {
        what = data;
        part();
      }
      if (what && servers.has(what.stream_key)) found({ [as]: what, server: servers.get(what.stream_key) });
    });
  };

/** Requests members and hands over each guild's chunks in their order, each once. */
function members(c: Connection, payload: Data, options: WaitOptions | undefined, take: (chunk: Data) => void): Promise<void> {
  const nonce = payload?.nonce ?? newNonce();
  const left = new Map<string, { next: number; early: Map<number, Data> }>();
  for (const id of [payload?.guild_id].flat()) left.set(id, { next: 0, early: new Map() });
  return ask(c, "requestGuildMembers", { ...payload, nonce }, options, ["GUILD_MEMBERS_CHUNK"], (chunk, found, part) => {
    const guild = left.get(chunk.guild_id);
    if (chunk.nonce !== nonce || !guild) return;
    guild.early.set(chunk.chunk_index, chunk);
    for (let next; (next = guild.early.get(guild.next)); ) {
      guild.early.delete(guild.next++);
      take(next);
    }
    if (guild.next >= chunk.chunk_count) left.delete(chunk.guild_id);
    if (left.size === 0) found(undefined);
    else part();
  });
}

async function requestGuildMembers(c: Connection, _: SendName, payload: Data, options?: WaitOptions): Promise<GuildMembers> {
  const all: GuildMembers = { members: [], presences: [], notFound: [] };
  await members(c, payload, options, (chunk) => {
    all.members.push(...chunk.members);
    all.presences.push(...(chunk.presences ?? []));
    all.notFound.push(...(chunk.not_found ?? []));
  });
  return all;
}

async function* guildMemberChunks(c: Connection, _: SendName, payload: Data, options: WaitOptions = {}): AsyncGenerator<Data, void, undefined> {
  const waiting: Data[] = [];
  let wake: (() => void) | undefined;
  let end: { error?: unknown } | undefined;
  const over = new AbortController();
  const abort = () => over.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted) abort();
  const ended = (how: { error?: unknown }) => {
    end = how;
    wake?.();
  };
  members(c, payload, { ...options, signal: over.signal }, (chunk) => {
    waiting.push(chunk);
    wake?.();
  }).then(
    () => ended({}),
    (error: unknown) => ended({ error }),
  );
  try {
    while (true) {
      if (waiting.length > 0) yield waiting.shift();
      else if (!end) await new Promise<void>((resolve) => (wake = resolve));
      else if ("error" in end) throw end.error;
      else return;
    }
  } finally {
    over.abort();
    options.signal?.removeEventListener("abort", abort);
  }
}

const GRACE = 10_000; // ms for a voice server that may not come

// The voice channels of a connection's session, by guild, from the first message
// about one on: only who comes into a channel is told of a server.
const voice = /* @__PURE__ */ new WeakMap<Connection, { session: string | undefined; in: Map<string | null, string | null> }>();

function channelsOf(c: Connection): Map<string | null, string | null> {
  let known = voice.get(c);
  if (!known) {
    voice.set(c, (known = { session: undefined, in: new Map() }));
    c.events.add("VOICE_STATE_UPDATE", (s: Data) => {
      if (s && s.session_id === c.session?.id) channelsOf(c).set(s.guild_id ?? null, s.channel_id ?? null);
    });
  }
  // A session in another's place joins what that had joined, under its own name.
  const session = c.session?.id;
  if (known.session !== session) Object.assign(known, { session, in: new Map() });
  return known.in;
}

async function updateVoiceState(c: Connection, name: SendName, payload: Data, options?: WaitOptions): Promise<VoiceConnection> {
  validate(name, payload);
  const session = c.session?.id;
  if (session === undefined) throw fail("not_ready", "cannot join a voice channel: there is no session");
  const channels = channelsOf(c);
  const guild = payload.guild_id ?? null;
  const channel = payload.channel_id ?? null;
  const joins = channel !== null && channels.get(guild) !== channel;
  // Whoever had the session before may have joined.
  const unsure = joins && !channels.has(guild) && c.config.session?.id === session;
  let state: Data;
  let server: Data = null;
  return ask(c, name, payload, options, ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"], (data, found, part, event) => {
    if (event === "VOICE_SERVER_UPDATE") {
      if ((data.guild_id ?? null) === guild) server = data;
    } else if (!state && data.session_id === session && (data.channel_id ?? null) === channel) {
      state = data;
      part();
      if (unsure) setTimeout(() => found({ state, server }), Math.min(GRACE, (options?.timeout ?? WAIT) / 2));
    }
    if (state && (server || !joins)) found({ state, server });
  });
}

const keys = (values: Data) => Object.keys(values).filter((key) => Object.keys(values[key]?.channels ?? {}).length > 0);

/** How each is answered. */
const askers: { readonly [N in keyof RequestMethods]: Asker } = {
  identify: first("READY"),
  resume: first("RESUMED"),
  requestGuildMembers,
  guildMemberChunks,
  searchRecentMembers: (c, name, payload, options) => first("GUILD_MEMBERS_CHUNK", "nonce")(c, name, { ...payload, nonce: payload?.nonce ?? newNonce() }, options),
  updateVoiceState,
  pingVoiceServer: first("VOICE_SERVER_UPDATE"),
  updateLobbyVoiceStates: each("LOBBY_VOICE_STATE_UPDATE", (payload) => payload.map((s: Data) => s?.lobby_id), "lobby_id"),
  pingLobbyVoiceServer: first("LOBBY_VOICE_SERVER_UPDATE", "lobby_id"),
  // The last part of the key is the id of the account.
  createStream: pair("STREAM_CREATE", "STREAM_SERVER_UPDATE", "stream", (data, p) => data.stream_key.startsWith(`${p.type}:${p.guild_id ? `${p.guild_id}:` : ""}${p.channel_id}:`)),
  watchStream: pair("STREAM_CREATE", "STREAM_SERVER_UPDATE", "stream", (data, p) => data.stream_key === p.stream_key),
  deleteStream: first("STREAM_DELETE", "stream_key"),
  pingStreamServer: first("STREAM_SERVER_UPDATE", "stream_key"),
  setStreamPaused: first("STREAM_UPDATE", "stream_key", "paused"),
  createSpeedTest: pair("SPEED_TEST_CREATE", "SPEED_TEST_SERVER_UPDATE", "test", () => true),
  deleteSpeedTest: first("SPEED_TEST_DELETE"),
  requestLastMessages: first("LAST_MESSAGES", "guild_id"),
  requestChannelStatuses: first("CHANNEL_STATUSES", "guild_id"),
  requestChannelInfo: first("CHANNEL_INFO", "guild_id"),
  requestChannelMemberCount: first("CHANNEL_MEMBER_COUNT_UPDATE", "guild_id", "channel_id"),
  requestDeletedEntityIDs: first("DELETED_ENTITY_IDS", "guild_id"),
  resyncGuildChannels: first("CHANNEL_SYNC", "guild_id"),
  requestSoundboardSounds: each("SOUNDBOARD_SOUNDS", (payload) => payload.guild_ids, "guild_id"),
  requestGuildSync: each("GUILD_SYNC", (payload) => payload, "id"),
  async lazyRequest(c, name, payload, options) {
    if (Object.keys(payload?.channels ?? {}).length === 0) {
      validate(name, payload);
      throw fail("invalid_payload", "a lazy request without channels is not answered; use sendLazyRequest");
    }
    return first("GUILD_MEMBER_LIST_UPDATE", "guild_id")(c, name, payload, options);
  },
  updateGuildSubscriptions: each("GUILD_MEMBER_LIST_UPDATE", (payload) => keys(payload.subscriptions), "guild_id"),
  requestCallConnect: first("CALL_CREATE", "channel_id"),
  callSync: (c, _, payload, options) => first("CALL_CREATE", "channel_id")(c, "requestCallConnect", payload, options),
};

/** The names of the functions that wait for an answer. */
export const requestNames = Object.keys(askers) as (keyof RequestMethods)[];

/** Adds the functions to a class whose objects have a connection. */
export function addRequests<H extends RequestMethods>(prototype: H, connection: (handle: H) => Connection): void {
  for (const name of requestNames) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      writable: true,
      value(this: H, payload: unknown, options?: WaitOptions) {
        return askers[name](connection(this), name as SendName, payload, options);
      },
    });
  }
}

function newNonce(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (n) => n.toString(36)).join("-");
}
