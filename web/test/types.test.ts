// What the types promise: it is compiled, and never run. A line under a remark that
// an error is expected must not compile, and the check fails if it does.

import {
  Op,
  Status,
  answers,
  connect,
  connectShards,
  discover,
  events,
  gatewayBot,
  intentEvents,
  intents,
  intentsFor,
  login,
  register,
  shardId,
  spawn,
  watchGuild,
  watchMember,
  withToken,
  CaptchaRequired,
  FieldErrors,
  GatewayError,
  HttpError,
  MfaRequired,
  NotConnected,
  PayloadError,
  RateLimitError,
  type ChannelStatuses,
  type DispatchEvents,
  type ErrorCode,
  type EventName,
  type FieldError,
  type GatewayHandle,
  type GuildMembersChunk,
  type GuildSync,
  type Instance,
  type LoggedInUser,
  type Message,
  type MessageCreate,
  type Ready,
  type Snowflake,
  type State,
  type Watched,
  type WatchedGuild,
} from "spacebar-gateway";

/** Compiles only if both are the same type, and not any. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function holds<_ extends true>(): void {}

declare const handle: GatewayHandle;
declare const name: string;
declare const instance: Instance;

// ---------------------------------------------------------- events by name
handle.observe("MESSAGE_CREATE", (message, event) => {
  holds<Same<typeof message, MessageCreate>>();
  holds<Same<typeof message.id, string>>();
  holds<Same<typeof message.content, string>>();
  holds<Same<typeof event.seq, number | null>>();
  // @ts-expect-error an id is a string, for a number would lose digits
  const id: number = message.id;
  // @ts-expect-error there is no such field
  message.contents;
  // @ts-expect-error it may be absent
  message.guild_id.length;
  return id;
});
handle.observe("READY", (ready) => holds<Same<typeof ready, Ready>>());
handle.observe(["MESSAGE_CREATE", "READY"], (data) => holds<Same<typeof data, MessageCreate | Ready>>());
handle.observe("MESSAGE_CREATE", { update: (message) => holds<Same<typeof message, MessageCreate>>() });
handle.once("GUILD_SYNC", (sync) => holds<Same<typeof sync, GuildSync>>());

// Names that the protocol does not have are allowed, and tell nothing of the payload.
handle.observe("SOME_NEW_EVENT", (data) => {
  holds<Same<typeof data, unknown>>();
  // @ts-expect-error it is unknown
  data.id;
});
handle.observe(name, (data) => holds<Same<typeof data, unknown>>());
handle.observe("*", (data, event) => {
  holds<Same<typeof data, unknown>>();
  holds<Same<typeof event.type, string>>();
});
// @ts-expect-error an observer of messages is no observer of READY
handle.observe("READY", (message: Message) => message.content);
// @ts-expect-error an observer is a function or has an update
handle.observe("READY", { call: () => {} });
// @ts-expect-error there is no such option
handle.observe("READY", () => {}, { once: true });

handle.waitFor("CHANNEL_STATUSES", (s) => s.guild_id === "7", { timeout: 5 }).then((s) => holds<Same<typeof s, ChannelStatuses>>());
handle.waitFor("SOME_NEW_EVENT").then((data) => holds<Same<typeof data, unknown>>());
// @ts-expect-error a predicate returns true or false
handle.waitFor("READY", () => "yes");

export async function iterate(): Promise<void> {
  for await (const message of handle.events("MESSAGE_CREATE")) holds<Same<typeof message, MessageCreate>>();
  for await (const data of handle.events(["MESSAGE_CREATE", "READY"])) holds<Same<typeof data, MessageCreate | Ready>>();
  for await (const chunk of handle.guildMemberChunks({ guild_id: "7", query: "", limit: 0 })) holds<Same<typeof chunk, GuildMembersChunk>>();
}

// ------------------------------------------------------- the tree of events
holds<Same<typeof events.message.create, "MESSAGE_CREATE">>();
handle.observe(events.message.create, (message) => holds<Same<typeof message, MessageCreate>>());
handle.observe(events.guild.update, (guild) => holds<Same<typeof guild, DispatchEvents["GUILD_UPDATE"]>>());
// @ts-expect-error there is no such event
events.message.created;

/** The names of the tree are all there are. */
type Leaves<T> = { [G in keyof T]: T[G][keyof T[G]] }[keyof T];
holds<Same<Leaves<typeof events>, EventName>>();

// ------------------------------------------------------------------- sends
handle.sendUpdatePresence({ status: Status.Online, since: null, activities: [], afk: false }).then((nothing) => holds<Same<typeof nothing, void>>());
handle.sendUpdatePresence({ status: "a status of tomorrow", since: null, activities: [], afk: false }, { signal: new AbortController().signal });
handle.sendRequestGuildMembers({ guild_id: ["7", "8"], user_ids: ["1"] });
handle.send(Op.RequestGuildMembers, { anything: true });
// @ts-expect-error a status is missing
handle.sendUpdatePresence({ since: null, activities: [], afk: false });
// @ts-expect-error a field too many costs the connection on a Spacebar server
handle.sendUpdatePresence({ status: "idle", since: null, activities: [], afk: false, mobile: true });
// @ts-expect-error it may be null, and may not be absent
handle.sendUpdatePresence({ status: "idle", activities: [], afk: false });
// @ts-expect-error an id is a string
handle.sendRequestChannelStatuses({ guild_id: 7 });
// @ts-expect-error there is no such send
handle.sendMessage({ content: "x" });
// @ts-expect-error an opcode is a number
handle.send("8", {});
globalThis.spacebarGateway.sendUpdatePresence(handle, { status: "idle", since: null, activities: [], afk: false });
// @ts-expect-error the handle comes first
globalThis.spacebarGateway.sendUpdatePresence({ status: "idle", since: null, activities: [], afk: false });

// -------------------------------------------------------- waiting for answers
handle.identify({ token: "t" }).then((ready) => holds<Same<typeof ready, Ready>>());
handle.requestGuildMembers({ guild_id: "7", user_ids: "1" }, { timeout: 1000 }).then((all) => {
  holds<Same<typeof all.notFound, string[]>>();
  holds<Same<(typeof all.members)[number], GuildMembersChunk["members"][number]>>();
});
handle.requestGuildSync(["7"]).then((all) => holds<Same<typeof all, GuildSync[]>>());
handle.requestChannelStatuses({ guild_id: "7" }).then((s) => holds<Same<typeof s, ChannelStatuses>>());
handle.updateVoiceState({ guild_id: "7", channel_id: null, self_mute: false, self_deaf: false }).then(({ state, server }) => {
  holds<Same<typeof state, DispatchEvents["VOICE_STATE_UPDATE"]>>();
  holds<Same<typeof server, DispatchEvents["VOICE_SERVER_UPDATE"] | null>>();
});
handle.createStream({ type: "guild", guild_id: "7", channel_id: "70" }).then(({ server }) => holds<Same<typeof server.token, string>>());
handle.pingVoiceServer().then((server) => holds<Same<typeof server, DispatchEvents["VOICE_SERVER_UPDATE"]>>());
globalThis.spacebarGateway.requestLastMessages(handle, { guild_id: "7", channel_ids: ["70"] }).then((last) => holds<Same<(typeof last.messages)[number]["id"], string>>());
// @ts-expect-error which channels?
handle.requestLastMessages({ guild_id: "7" });
// @ts-expect-error there is no such option
handle.requestChannelStatuses({ guild_id: "7" }, { retries: 3 });
// @ts-expect-error a change of presence has no answer of its own
handle.updatePresence({ status: "idle", since: null, activities: [], afk: false });

/** All that the server answers can be waited for. */
type Answered = Exclude<keyof typeof answers, "updatePresence">;
holds<Same<Exclude<Answered, keyof GatewayHandle>, never>>();

// ---------------------------------------------------------------- the handle
handle.observeState(({ state, retryAt, error }) => {
  holds<Same<typeof state, State>>();
  holds<Same<typeof retryAt, number | null>>();
  holds<Same<typeof error, GatewayError | null>>();
});
holds<Same<typeof handle.done, Promise<GatewayError | null>>>();
// @ts-expect-error it is read only
handle.state = "ready";
// @ts-expect-error there is no such state
export const state: State = "connecting";

// ------------------------------------------------------------------- options
connect("wss://g.example", { token: "t", compress: "zstd-stream", attempts: Infinity, observe: { READY: (ready: Ready) => ready.v } });
connect("wss://g.example", {
  token: "t",
  observe: {
    READY: (ready) => holds<Same<typeof ready, Ready>>(),
    MESSAGE_CREATE: { update: (message) => holds<Same<typeof message, MessageCreate>>() },
    SOME_NEW_EVENT: (data: { id: string }, event) => holds<Same<typeof event.seq, number | null>>(),
    "*": (_data, event) => holds<Same<typeof event.type, string>>(),
  },
});
// @ts-expect-error an observer of messages is no observer of READY
connect("wss://g.example", { token: "t", observe: { READY: (message: Message) => message.content } });
// @ts-expect-error an observer is a function or has an update
connect("wss://g.example", { token: "t", observe: { SOME_NEW_EVENT: { call: () => {} } } });
connect(new URL("wss://g.example"), { session: { id: "s", seq: 1 }, setup: (h) => h.observe("READY", (ready) => ready.v) });
spawn("wss://g.example").then((h) => holds<Same<typeof h, GatewayHandle>>());
// @ts-expect-error there is no such compression
connect("wss://g.example", { compress: "gzip" });
// @ts-expect-error there is no such option
connect("wss://g.example", { tokens: "t" });
// @ts-expect-error who only opens a connection gives no token
spawn("wss://g.example", { token: "t" });
// @ts-expect-error a session has a number
connect("wss://g.example", { session: { id: "s" } });

// ---------------------------------------------------------- watched objects
holds<Same<ReturnType<typeof handle.watch.guild>, Watched<WatchedGuild>>>();
handle.watch.guild("7", { limits: { members: 10 } }).current?.roles.get("8")?.name satisfies string | undefined;
watchMember(handle, "7", "1").subscribe(() => {});
// @ts-expect-error a version of an object is not to be changed
watchGuild(handle, "7").current!.name = "x";
// @ts-expect-error a role is of a guild
handle.watch.role("8");

// ------------------------------------------------------- intents and ids
holds<Same<ReturnType<typeof intentEvents>, EventName[]>>();
intentEvents(intents.guilds | intents.guildMessages).includes("MESSAGE_CREATE");
intentsFor("MESSAGE_CREATE") satisfies number;
// @ts-expect-error there is no such intent
intents.everything;
// @ts-expect-error there is no such event
intentsFor("MESSAGE_CREATED");
holds<Same<Snowflake, string>>();

// --------------------------------------------------------------------- users
login("https://i.example", { login: "a", password: "b" }).then((user) => {
  holds<Same<typeof user, LoggedInUser>>();
  holds<Same<typeof user.handle, GatewayHandle>>();
  holds<Same<typeof user.id, string | null>>();
});
login(instance, { login: "a", password: "b" }, { timeout: 5, compress: "none" });
register("https://i.example", { username: "a", consent: true });
withToken("https://i.example", "token");
discover("https://i.example").then((i) => holds<Same<typeof i.gateway, string>>());
gatewayBot(instance, "Bot x").then(({ url, shards, sessionStartLimit }) => connectShards(url, { token: "x", shards, limit: sessionStartLimit })).then((group) => {
  group.observe("MESSAGE_CREATE", (message, _event, shard) => {
    holds<Same<typeof message, MessageCreate>>();
    holds<Same<typeof shard, number>>();
  });
  holds<Same<ReturnType<typeof group.guild>, GatewayHandle | undefined>>();
});
shardId("7", 4) satisfies number;
// @ts-expect-error an id is a string
shardId(7, 4);
// @ts-expect-error a password is missing
login("https://i.example", { login: "a" });
// @ts-expect-error the token is that of the login
login("https://i.example", { login: "a", password: "b" }, { token: "t" });
// @ts-expect-error consent has to be given, or not
register("https://i.example", { username: "a" });

// -------------------------------------------------------------------- errors
export async function onError(error: unknown): Promise<LoggedInUser | undefined> {
  if (error instanceof CaptchaRequired) return error.continue("solution");
  if (error instanceof MfaRequired) return error.continue("123456");
  if (error instanceof NotConnected) return withToken(error.instance, error.token);
  if (error instanceof FieldErrors) holds<Same<(typeof error.fields)[string], readonly FieldError[]>>();
  if (error instanceof HttpError) error.retryAfter satisfies number;
  if (error instanceof PayloadError) error.field satisfies string;
  if (error instanceof RateLimitError) error.retryAfter satisfies number;
  if (error instanceof GatewayError) {
    holds<Same<typeof error.code, ErrorCode>>();
    if (error.code === "mfa_required" || error.code === "not_an_instance") return undefined;
    // @ts-expect-error there is no such code
    if (error.code === "oops") return undefined;
  }
  return undefined;
}
