// The handle and all that waits for an answer, without a server: the test plays
// the core.
//
//   node --test test/node/handle.test.mjs

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "handle-test-"));
after(() => rmSync(dir, { recursive: true }));
execFileSync(join(root, "build/bin/esbuild"), ["--bundle", "--format=esm", "--target=es2022", "--log-level=warning", `--outfile=${join(dir, "handle.mjs")}`], {
  cwd: root,
  input: ["handle", "connection", "requests", "errors", "validate", "protocol.gen"].map((file) => `export * from "./web/src/${file}.ts";`).join("\n"),
});
const { Connection, GatewayHandle, GatewayError, PayloadError, RateLimitError, answers, hasFlag, capabilities, capabilitiesFor, capabilityEvents, eventIntents, events, intentEvents, intents, intentsFor, requestNames, sends, validate } = await import(pathToFileURL(join(dir, "handle.mjs")));

/** A connection whose core is the test. */
function connected({ state = "ready", answer, session = null } = {}) {
  const c = new Connection(1, { url: "ws://g.example", identify: "", session });
  const sent = [];
  c.open({
    kind: "main",
    post(command) {
      if (command.type === "cancel") c.report({ type: "sent", req: command.req, error: { code: "aborted", message: "taken back" } });
      if (command.type === "close") c.report({ type: "state", state: "closed" });
      if (command.type !== "send") return;
      const message = { op: command.op, d: JSON.parse(command.payload), req: command.req };
      sent.push(message);
      if (state !== "stuck") c.report({ type: "sent", req: command.req });
      answer?.(message);
    },
    terminate() {},
  });
  c.report({ type: "session", session: { id: "me", seq: 1, resumeUrl: "", standing: "" } });
  c.report({ type: "state", state: state === "stuck" ? "ready" : state });
  const dispatch = (t, d) => c.report(JSON.stringify({ op: 0, s: 2, t, d }));
  return { c, handle: new GatewayHandle(c, true), sent, dispatch, names: () => c.events.names() };
}

async function rejects(promise, code, type = GatewayError) {
  const error = await promise.then(
    (value) => assert.fail(`it resolved with ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.ok(error instanceof type, `${error} is no ${type.name}`);
  assert.equal(error.code, code, error.message);
  return error;
}

test("a gap that is still to come outlives its core", () => {
  const c = new Connection(1, { url: "ws://g.example", identify: "", session: null });
  const opened = [];
  const host = { kind: "worker", post: (command) => command.type === "open" && opened.push(command), terminate() {} };
  const lost = { reason: { code: "invalid_session", message: "gone" }, lastSeq: 7, disconnectedAt: 1, standing: "[]" };
  const interrupted = () => {
    c.interrupt({ code: "core_crashed", message: "the Worker was ended" });
    c.open(host);
    return opened.at(-1);
  };
  c.open(host);
  assert.equal(opened[0].lost, null);
  // Between two sessions.
  c.report({ type: "session", session: null });
  c.report({ type: "lost", lost });
  c.report({ type: "state", state: "identifying" });
  assert.deepEqual(interrupted().lost, lost);
  // In a session that nobody can resume: it is lost at this moment, and with what came last.
  c.report({ type: "state", state: "ready" });
  c.report({ type: "latency", latency: 1, seq: 9 });
  const left = interrupted().lost;
  assert.equal(left.lastSeq, 9);
  assert.ok(left.disconnectedAt > lost.disconnectedAt);
  // The gap has been reported, and there is a session.
  c.report({ type: "session", session: { id: "s", seq: 1, resumeUrl: "", standing: "" } });
  c.report({ type: "lost", lost: null });
  const { config, lost: none } = interrupted();
  assert.deepEqual([config.session.id, none], ["s", null]);
});

test("a logger is told how the connection fares, and its faults harm nobody", () => {
  const told = [];
  const level = (name) => (message, details) => told.push([name, message, details]);
  const log = { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
  const c = new Connection(1, { url: "ws://g.example", identify: "token-of-alice", session: null }, log);
  const cause = { code: "connection_closed", message: "closed with 4000", closeCode: 4000 };
  c.report({ type: "state", state: "dialing" });
  c.report({ type: "state", state: "ready", resumed: true });
  c.report(JSON.stringify({ op: 0, s: 1, t: "MESSAGE_CREATE", d: { content: "a payload" } }));
  c.report({ type: "state", state: "backoff", retryAt: Date.now() - 1, error: cause });
  c.report({ type: "gap", gap: { reason: cause, lastSeq: 7, disconnectedAt: 1000, reconnectedAt: 3500, sessionLost: true } });
  c.report({ type: "error", error: cause });
  log.info = () => {
    throw new Error("no room");
  };
  const errors = [];
  c.lifecycle.add("error", (e) => errors.push(e));
  c.report({ type: "state", state: "ready" });
  c.report({ type: "state", state: "ready" });
  c.report({ type: "state", state: "closed", error: { ...cause, fatal: true } });
  const about = { code: "connection_closed", error: "closed with 4000", closeCode: 4000 };
  assert.deepEqual(told, [
    ["debug", "gateway state", { state: "dialing" }],
    ["info", "gateway ready", { resumed: true }],
    ["warn", "gateway disconnected", { ...about, retryInMs: 0 }],
    ["warn", "gateway events missed", { ...about, lastSeq: 7, missedMs: 2500 }],
    ["warn", "gateway error", about],
  ]);
  assert.deepEqual(
    errors.map((e) => [e.code, /logger/.test(e.message)]),
    [["observer_threw", true]],
  );
});

/** Lets what is due happen, while timers are mocked. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

const ranges = { 70: [[0, 99]] };
const chunk = (guild_id, chunk_index, chunk_count, user, nonce, more = {}) => ({ guild_id, chunk_index, chunk_count, members: [{ user: { id: user } }], nonce, ...more });

/** Each request, the events by which a server answers it, and what it resolves with. */
const REQUESTS = {
  identify: [{ token: "t" }, [["READY", { v: 9 }]], { v: 9 }],
  resume: [{ token: "t", session_id: "s", seq: 1 }, [["RESUMED", {}]], {}],
  requestGuildMembers: [{ guild_id: "7", user_ids: "1", nonce: "n" }, [["GUILD_MEMBERS_CHUNK", chunk("7", 0, 1, "1", "n")]], { members: [{ user: { id: "1" } }], presences: [], notFound: [] }],
  searchRecentMembers: [{ guild_id: "7", query: "", continuation_token: null, nonce: "n" }, [["GUILD_MEMBERS_CHUNK", { nonce: "x" }], ["GUILD_MEMBERS_CHUNK", { nonce: "n" }]], { nonce: "n" }],
  updateVoiceState: [
    { guild_id: "7", channel_id: "70", self_mute: false, self_deaf: false },
    [["VOICE_STATE_UPDATE", { session_id: "other", guild_id: "7", channel_id: "70" }], ["VOICE_SERVER_UPDATE", { guild_id: "8" }], ["VOICE_STATE_UPDATE", { session_id: "me", guild_id: "7", channel_id: "70" }], ["VOICE_SERVER_UPDATE", { guild_id: "7" }]],
    { state: { session_id: "me", guild_id: "7", channel_id: "70" }, server: { guild_id: "7" } },
  ],
  pingVoiceServer: [null, [["VOICE_SERVER_UPDATE", { guild_id: "7" }]], { guild_id: "7" }],
  updateLobbyVoiceStates: [
    [{ lobby_id: "5", self_mute: false, self_deaf: false }],
    [["LOBBY_VOICE_STATE_UPDATE", { lobby_id: "5", session_id: "other" }], ["LOBBY_VOICE_STATE_UPDATE", { lobby_id: "5", session_id: "me" }]],
    [{ lobby_id: "5", session_id: "me" }],
  ],
  pingLobbyVoiceServer: [{ lobby_id: "5" }, [["LOBBY_VOICE_SERVER_UPDATE", { lobby_id: "6" }], ["LOBBY_VOICE_SERVER_UPDATE", { lobby_id: "5" }]], { lobby_id: "5" }],
  createStream: [
    { type: "guild", guild_id: "7", channel_id: "70" },
    [["STREAM_SERVER_UPDATE", { stream_key: "guild:7:70:1" }], ["STREAM_CREATE", { stream_key: "guild:7:71:1" }], ["STREAM_CREATE", { stream_key: "guild:7:70:1" }]],
    { stream: { stream_key: "guild:7:70:1" }, server: { stream_key: "guild:7:70:1" } },
  ],
  watchStream: [{ stream_key: "k" }, [["STREAM_CREATE", { stream_key: "k" }], ["STREAM_SERVER_UPDATE", { stream_key: "k" }]], { stream: { stream_key: "k" }, server: { stream_key: "k" } }],
  deleteStream: [{ stream_key: "k" }, [["STREAM_DELETE", { stream_key: "l" }], ["STREAM_DELETE", { stream_key: "k" }]], { stream_key: "k" }],
  pingStreamServer: [{ stream_key: "k" }, [["STREAM_SERVER_UPDATE", { stream_key: "k" }]], { stream_key: "k" }],
  setStreamPaused: [{ stream_key: "k", paused: true }, [["STREAM_UPDATE", { stream_key: "k", paused: false }], ["STREAM_UPDATE", { stream_key: "k", paused: true }]], { stream_key: "k", paused: true }],
  createSpeedTest: [{}, [["SPEED_TEST_CREATE", { stream_key: "k" }], ["SPEED_TEST_SERVER_UPDATE", { stream_key: "k" }]], { test: { stream_key: "k" }, server: { stream_key: "k" } }],
  deleteSpeedTest: [null, [["SPEED_TEST_DELETE", {}]], {}],
  requestLastMessages: [{ guild_id: "7", channel_ids: ["70"] }, [["LAST_MESSAGES", { guild_id: "8" }], ["LAST_MESSAGES", { guild_id: "7" }]], { guild_id: "7" }],
  requestChannelStatuses: [{ guild_id: "7" }, [["CHANNEL_STATUSES", { guild_id: "7" }]], { guild_id: "7" }],
  requestChannelInfo: [{ guild_id: "7", fields: ["status"] }, [["CHANNEL_INFO", { guild_id: "7" }]], { guild_id: "7" }],
  requestChannelMemberCount: [{ guild_id: "7", channel_id: "70" }, [["CHANNEL_MEMBER_COUNT_UPDATE", { guild_id: "7", channel_id: "71" }], ["CHANNEL_MEMBER_COUNT_UPDATE", { guild_id: "7", channel_id: "70" }]], { guild_id: "7", channel_id: "70" }],
  requestDeletedEntityIDs: [{ guild_id: "7", channel_ids_hash: "", role_ids_hash: "", emoji_ids_hash: "", sticker_ids_hash: "" }, [["DELETED_ENTITY_IDS", { guild_id: "7" }]], { guild_id: "7" }],
  resyncGuildChannels: [{ guild_id: "7", obfuscated_channel_ids: ["70"] }, [["CHANNEL_SYNC", { guild_id: "7" }]], { guild_id: "7" }],
  requestSoundboardSounds: [{ guild_ids: ["7", "8"] }, [["SOUNDBOARD_SOUNDS", { guild_id: "8" }], ["SOUNDBOARD_SOUNDS", { guild_id: "8" }], ["SOUNDBOARD_SOUNDS", { guild_id: "7" }]], [{ guild_id: "8" }, { guild_id: "7" }]],
  requestGuildSync: [["7", "8"], [["GUILD_SYNC", { id: "7" }], ["GUILD_SYNC", { id: "9" }], ["GUILD_SYNC", { id: "8" }]], [{ id: "7" }, { id: "8" }]],
  lazyRequest: [{ guild_id: "7", channels: ranges }, [["GUILD_MEMBER_LIST_UPDATE", { guild_id: "8" }], ["GUILD_MEMBER_LIST_UPDATE", { guild_id: "7" }]], { guild_id: "7" }],
  updateGuildSubscriptions: [{ subscriptions: { 7: { channels: ranges }, 8: { typing: true } } }, [["GUILD_MEMBER_LIST_UPDATE", { guild_id: "7" }]], [{ guild_id: "7" }]],
  requestCallConnect: [{ channel_id: "7" }, [["CALL_CREATE", { channel_id: "8" }], ["CALL_CREATE", { channel_id: "7" }]], { channel_id: "7" }],
  callSync: [{ channel_id: "7" }, [["CALL_CREATE", { channel_id: "7" }]], { channel_id: "7" }],
};

test("every answer can be waited for", async (t) => {
  // What the presence of a session becomes is no answer: all sessions are told.
  const answered = Object.keys(answers).filter((name) => name !== "updatePresence");
  assert.deepEqual(answered.filter((name) => !REQUESTS[name]), []);
  assert.deepEqual(requestNames.filter((name) => !REQUESTS[name]), ["guildMemberChunks"]);
  for (const [name, [payload, replies, want]] of Object.entries(REQUESTS)) {
    await t.test(name, async () => {
      const auth = name === "identify" || name === "resume";
      // It has subscribed before it sends: the answer is there at once.
      const { handle, sent, dispatch, names, c } = connected({ state: auth ? "connected" : "ready", answer: () => replies.forEach((reply) => dispatch(...reply)) });
      const before = c.lifecycle.names();
      assert.deepEqual(await handle[name](payload), want);
      assert.deepEqual(sent.map(({ op, d }) => [op, d]), [[sends[name === "callSync" ? "requestCallConnect" : name], payload]]);
      assert.deepEqual(names(), name === "updateVoiceState" ? ["VOICE_STATE_UPDATE"] : [], "subscriptions are left");
      assert.deepEqual(c.lifecycle.names(), before);
    });
  }
});

test("members come in the order of their chunks", async () => {
  const { handle, dispatch, sent } = connected();
  const request = { guild_id: ["7", "8"], user_ids: ["1"] };
  const collected = handle.requestGuildMembers(request);
  const order = [];
  const iterated = (async () => {
    for await (const c of handle.guildMemberChunks(request)) order.push(`${c.guild_id}:${c.chunk_index}`);
  })();
  await settle();
  const nonces = sent.map((m) => m.d.nonce);
  assert.notEqual(nonces[0], nonces[1]);
  for (const nonce of nonces) {
    dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 1, 3, "71", nonce));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 0, 3, "x", "another's"));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("9", 0, 1, "x", nonce));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 0, 3, "70", nonce, { not_found: ["1", "2"], presences: [{ status: "online" }] }));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 0, 3, "70", nonce));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("8", 0, 1, "80", nonce));
    dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 2, 3, "72", nonce));
  }
  const all = await collected;
  await iterated;
  assert.deepEqual([all.members.map((m) => m.user.id), all.presences, all.notFound], [["70", "71", "80", "72"], [{ status: "online" }], ["1", "2"]]);
  assert.deepEqual(order, ["7:0", "7:1", "8:0", "7:2"]);
});

test("the iterator of chunks", async () => {
  const { handle, dispatch, names, sent } = connected();
  const request = { guild_id: "7", user_ids: "1", nonce: "n" };
  const read = async (n, options) => {
    const seen = [];
    for await (const c of handle.guildMemberChunks(request, options)) if (seen.push(c.chunk_index) === n) break;
    return seen;
  };
  const left = read(1);
  await settle();
  dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 0, 2, "1", "n"));
  assert.deepEqual(await left, [0]);
  assert.deepEqual(names(), [], "whoever leaves the loop leaves nothing behind");

  const stop = new AbortController();
  const aborted = read(9, { signal: stop.signal });
  await settle();
  stop.abort();
  await rejects(aborted, "aborted");
  await rejects(read(9, { signal: stop.signal }), "aborted");

  const lost = read(9);
  await settle();
  dispatch("GUILD_MEMBERS_CHUNK", chunk("7", 0, 2, "1", "n"));
  handle.close();
  await rejects(lost, "closed");
  assert.equal(sent.length, 3);
  await rejects(handle.guildMemberChunks({}).next(), "invalid_payload", PayloadError);
  await rejects(handle.guildMemberChunks(request, { timeout: 1, retries: 2 }).next(), "invalid_option");
});

test("a server has its time for each part", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { handle, dispatch, c, sent } = connected({ state: "stuck" });
    const request = { guild_id: "7", user_ids: "1", nonce: "n" };
    let done = "";
    const members = handle.requestGuildMembers(request, { timeout: 1000 }).then(() => (done = "members"), (e) => (done = e.code));
    await settle();
    mock.timers.tick(60_000); // while it waits for the rate limit
    c.report({ type: "sent", req: sent[0].req });
    await settle();
    for (let i = 0; i < 3; i++) {
      mock.timers.tick(999);
      await settle();
      assert.equal(done, "");
      dispatch("GUILD_MEMBERS_CHUNK", chunk("7", i, 4, "1", "n"));
    }
    mock.timers.tick(1000);
    await members;
    assert.equal(done, "timeout");

    const wait = handle.waitFor("READY", null, { timeout: 5 });
    mock.timers.tick(5);
    assert.equal((await rejects(wait, "timeout")).message, "no READY came within 5 ms");
    const forever = handle.waitFor("READY", null, { timeout: Infinity });
    const long = handle.waitFor("READY", null, { timeout: 2 ** 40 });
    mock.timers.tick(2 ** 31);
    dispatch("READY", { v: 9 });
    assert.deepEqual(await Promise.all([forever, long]), [{ v: 9 }, { v: 9 }]);
    for (const timeout of [NaN, -1, "5", null]) await rejects(handle.waitFor("READY", null, { timeout }), "invalid_option");
  } finally {
    mock.timers.reset();
  }
});

test("RATE_LIMITED is about one request", async () => {
  const { handle, dispatch } = connected();
  const errors = [];
  const ask = (i, promise) => promise.catch((error) => (errors[i] = error));
  const members = (guild_id, nonce) => handle.requestGuildMembers({ guild_id, user_ids: "1", nonce });
  const sounds = (id) => handle.requestSoundboardSounds({ guild_ids: [id] });
  [members("7", "a"), members("7", "b"), members("8", "c"), sounds("7"), sounds("8"), handle.requestGuildSync(["7"])].forEach((promise, i) => ask(i, promise));
  await settle();
  for (const [limited, refuses] of [
    [{ opcode: 34, retry_after: 2.5, meta: {} }, []],
    [{ opcode: 8, retry_after: 2.5, meta: { guild_id: "7", nonce: "x" } }, []],
    [{ opcode: 8, retry_after: 2.5, meta: { guild_id: "7", nonce: "b" } }, [1]],
    [{ opcode: 8, retry_after: 2.5, meta: { guild_id: "8" } }, [1, 2]],
    [{ opcode: 31, retry_after: 2.5, meta: { guild_id: "8" } }, [1, 2, 4]],
    [{ opcode: 31, retry_after: 2.5 }, [1, 2, 3, 4]],
    [{ opcode: 12, retry_after: 2.5, meta: { guild_id: "8" } }, [1, 2, 3, 4]],
    [{ opcode: 12, retry_after: 2.5, meta: { guild_id: "7" } }, [1, 2, 3, 4, 5]],
    [null, [1, 2, 3, 4, 5]],
    [{ opcode: 8, retry_after: 2.5, meta: {} }, [0, 1, 2, 3, 4, 5]],
  ]) {
    dispatch("RATE_LIMITED", limited);
    await settle();
    assert.deepEqual(Object.keys(errors).map(Number), refuses, JSON.stringify(limited));
  }
  for (const error of errors) assert.ok(error instanceof RateLimitError && error.code === "rate_limited" && error.retryAfter === 2500, String(error));
  assert.deepEqual([errors[1].op, errors[1].message], [8, "the server refuses requestGuildMembers for 2.5 s; try again then"]);
});

test("whatever ends a request ends it at once", async () => {
  const ask = (handle, options) => handle.requestChannelStatuses({ guild_id: "7" }, options);
  for (const [end, code] of [
    [(c) => c.report({ type: "state", state: "backoff" }), "disconnected"],
    [(c) => c.report({ type: "state", state: "resuming" }), "disconnected"],
    [(c) => c.interrupt({ code: "core_crashed", message: "x" }), "disconnected"],
    [(c) => c.close(false), "closed"],
    [(c) => c.report({ type: "state", state: "closed", error: { code: "authentication_failed", message: "x", fatal: true } }), "authentication_failed"],
  ]) {
    const { handle, c, names } = connected();
    const asked = ask(handle);
    await settle();
    end(c);
    await rejects(asked, code);
    assert.deepEqual(names(), []);
  }
  const { handle, c, dispatch, names, sent } = connected({ state: "stuck" });
  const stop = new AbortController();
  const asked = ask(handle, { signal: stop.signal });
  await settle();
  stop.abort();
  await rejects(asked, "aborted");
  await rejects(ask(handle, { signal: stop.signal }), "aborted");
  assert.equal(sent.length, 1);
  const broken = handle.requestGuildMembers({ guild_id: "7", user_ids: "1", nonce: "n" });
  await settle();
  dispatch("GUILD_MEMBERS_CHUNK", { guild_id: "7", nonce: "n", chunk_index: 0, chunk_count: 1, members: 5 });
  await rejects(broken, "malformed_message");
  assert.deepEqual(names(), []);
  c.report({ type: "state", state: "backoff" });
  await rejects(ask(handle), "not_ready");
  c.report({ type: "state", state: "closed" });
  await rejects(ask(handle), "closed");
});

test("identify and resume live through their states, and no others", async () => {
  for (const [name, payload, state] of [["identify", { token: "t" }, "identifying"], ["resume", { token: "t", session_id: "s", seq: 1 }, "resuming"]]) {
    const { handle, c, dispatch } = connected({ state: "connected" });
    const first = handle[name](payload);
    await settle();
    c.report({ type: "state", state });
    c.report({ type: "state", state: "connected" }); // the server knows no such session
    await rejects(first, "disconnected");
    const second = handle[name](payload);
    c.report({ type: "state", state });
    c.report({ type: "state", state: "ready" });
    dispatch(name === "identify" ? "READY" : "RESUMED", { v: 9 });
    assert.deepEqual(await second, { v: 9 });
  }
});

test("who comes back into a voice channel is told of the server", async () => {
  const { handle, dispatch } = connected();
  const join = () => handle.updateVoiceState({ guild_id: "7", channel_id: "70", self_mute: false, self_deaf: false });
  const state = (channel_id) => dispatch("VOICE_STATE_UPDATE", { guild_id: "7", channel_id, session_id: "me" });
  for (const kicked of [true, false]) {
    const joined = join();
    await settle();
    state("70");
    dispatch("VOICE_SERVER_UPDATE", { guild_id: "7", endpoint: "e" });
    assert.equal((await joined).server.endpoint, "e");
    if (kicked) state(null);
  }
  const stays = join();
  await settle();
  state("70");
  assert.equal((await stays).server, null);
  const left = handle.updateVoiceState({ guild_id: "7", channel_id: null, self_mute: false, self_deaf: false });
  await settle();
  state(null);
  assert.deepEqual(await left, { state: { guild_id: "7", channel_id: null, session_id: "me" }, server: null });
});

test("who has joined a voice channel by any other means is told of no server", async (t) => {
  const join = { guild_id: "7", channel_id: "70", self_mute: false, self_deaf: false };
  const state = { guild_id: "7", channel_id: "70", session_id: "me" };
  {
    const { c, handle, dispatch } = connected();
    const muted = async (session_id) => {
      const answer = handle.updateVoiceState({ ...join, self_mute: true });
      await settle();
      dispatch("VOICE_STATE_UPDATE", { ...state, session_id });
      assert.equal((await answer).server, null);
    };
    await handle.sendUpdateVoiceState(join);
    dispatch("VOICE_STATE_UPDATE", state);
    await muted("me");
    // The core joins again with another session.
    c.report({ type: "session", session: { id: "me too", seq: 1, resumeUrl: "", standing: "" } });
    dispatch("VOICE_STATE_UPDATE", { ...state, session_id: "me too" });
    await muted("me too");
  }
  // Of a session taken over from elsewhere nobody knows.
  const { handle, dispatch } = connected({ session: { id: "me", seq: 1, resumeUrl: "", standing: "" } });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answer = handle.updateVoiceState({ ...join, self_mute: true });
  await settle();
  dispatch("VOICE_STATE_UPDATE", state);
  t.mock.timers.tick(10_000);
  assert.deepEqual(await answer, { state, server: null });
});

test("what is wrong with a payload is told without it", () => {
  const { c } = connected();
  const errors = [];
  c.lifecycle.add("error", (e) => errors.push(e));
  c.report('{"op":0,"s":2,"t":"MESSAGE_CREATE","d":{"content":secret}}');
  assert.equal(errors[0].code, "malformed_message");
  assert.ok(!errors[0].message.includes("secret") && errors[0].message.includes("MESSAGE_CREATE") && !errors[0].cause, errors[0].message);
});

test("a flag is found however many there are", () => {
  for (const [flags, flag, has] of [[5, 4, true], [5, 2, false], ["9007199254740993", 1, true], ["9007199254740992", 1, false], ["18014398509481985", 1, true], ["1125899906842624", 2 ** 50, true], [2 ** 40 + 1, 2 ** 40, true], [-1, 8, true], ["-1", 2 ** 40, true], ["", 1, false], ["x", 1, false], [null, 1, false], [0, 1, false], [1.5, 1, false]]) {
    assert.equal(hasFlag(flags, flag), has, `${flags} ${flag}`);
  }
});

// gateway/request_test.go holds the Go library to the same table.
test("sends are refused as in Go", () => {
  const seen = new Set();
  for (const { send, payload, refused } of JSON.parse(readFileSync(join(root, "gateway/testdata/sends.json"), "utf8"))) {
    seen.add(send);
    let error = null;
    try {
      validate(send, payload);
    } catch (thrown) {
      error = thrown;
    }
    const what = `${send} ${JSON.stringify(payload)}: ${error}`;
    assert.equal(error?.field, refused, what);
    if (error) assert.ok(error instanceof PayloadError && error.code === "invalid_payload" && error.message.includes(send), what);
  }
  assert.deepEqual([...seen].sort(), Object.keys(sends).sort());
});

test("a refused send is not sent, and shows no token", async () => {
  const { handle, sent } = connected();
  const error = await rejects(handle.sendIdentify({ token: 12345 }), "invalid_payload", PayloadError);
  assert.deepEqual([error.field, error.message], ["token", "cannot send identify: token must be a string, not a number"]);
  await rejects(handle.lazyRequest({ guild_id: "7" }), "invalid_payload");
  await rejects(handle.updateGuildSubscriptions({ subscriptions: {} }), "invalid_payload");
  await rejects(handle.updateGuildSubscriptions(), "invalid_payload", PayloadError);
  await rejects(handle.requestGuildSync("7"), "invalid_payload", PayloadError);
  await rejects(handle.updateVoiceState(), "invalid_payload", PayloadError);
  assert.equal(sent.length, 0);
  await handle.pingVoiceServer(undefined, { timeout: 1 }).catch(() => {});
  assert.deepEqual([sent[0].op, sent[0].d], [5, null]);
});

test("intents, and the events that each brings", () => {
  const all = Object.values(intents);
  for (const name of Object.keys(eventIntents)) {
    assert.ok(all.some((flag) => intentsFor(name) & flag), name);
    for (const flag of all) assert.equal(intentEvents(flag).includes(name), Boolean(intentsFor(name) & flag), `${name} ${flag}`);
  }
  assert.deepEqual([intentsFor("READY"), intentsFor("MESSAGE_CREATE"), intentEvents(0)], [0, intents.guildMessages | intents.directMessages, []]);
  assert.deepEqual(intentEvents(intents.guildModeration), ["GUILD_AUDIT_LOG_ENTRY_CREATE", "GUILD_BAN_ADD", "GUILD_BAN_REMOVE"]);
});

test("capabilities, and the events that each brings", () => {
  const all = Object.values(capabilities);
  assert.deepEqual(capabilityEvents(capabilities.prioritizedReadyPayload | capabilities.debounceMessageReactions).sort(), ["MESSAGE_REACTION_ADD_MANY", "READY_SUPPLEMENTAL"]);
  assert.equal(capabilitiesFor("READY_SUPPLEMENTAL"), capabilities.prioritizedReadyPayload);
  assert.equal(capabilitiesFor("READY"), 0);
  for (const flag of all) for (const name of capabilityEvents(flag)) assert.equal(capabilitiesFor(name), flag);
});

test("what has waited leaves nothing behind", async (t) => {
  const { c, handle, dispatch } = connected({ answer: ({ op }) => op === sends.requestChannelStatuses && dispatch("CHANNEL_STATUSES", { guild_id: "7" }) });
  const ends = { added: 0, taken: 0 };
  const { onDone } = c;
  t.mock.method(c, "onDone", (fn) => {
    ends.added++;
    const off = onDone.call(c, fn);
    return () => (ends.taken++, off());
  });
  const then = t.mock.method(c.done, "then");
  const waited = handle.waitFor("A");
  dispatch("A", {});
  await waited;
  await handle.requestChannelStatuses({ guild_id: "7" });
  const loop = handle.events("A");
  const first = loop.next();
  dispatch("A", {});
  await first;
  await loop.return();
  assert.deepEqual([ends, then.mock.callCount()], [{ added: 3, taken: 3 }, 0]);
});

test("a clone that is closed ends what was waited for through it, and can go on", { timeout: 5000 }, async () => {
  const { handle, dispatch, names } = connected();
  const clone = handle.clone();
  const got = [];
  const loop = (async () => {
    for await (const d of clone.events("A")) got.push(d);
  })();
  const waits = clone.waitFor("B");
  const role = clone.watch.role("7", "8");
  let told = 0;
  role.subscribe(() => told++);
  await settle();
  dispatch("GUILD_ROLE_CREATE", { guild_id: "7", role: { id: "8", name: "cook" } });
  dispatch("A", 1);
  await clone.close();
  await loop;
  await rejects(waits, "closed");
  assert.deepEqual([got, role.current.name, role.stale, told, names()], [[1], "cook", true, 2, []]);

  const again = clone.watch.role("7", "8");
  dispatch("GUILD_ROLE_CREATE", { guild_id: "7", role: { id: "8", name: "chef" } });
  assert.deepEqual([again.current.name, again.stale, role.current.name], ["chef", false, "cook"]);
  role.release();
  dispatch("GUILD_ROLE_UPDATE", { guild_id: "7", role: { id: "8", name: "waiter" } });
  assert.equal(again.current.name, "waiter");
  again.release();
  assert.deepEqual(names(), []);
});

test("a wrong option of a wait is a rejection", async () => {
  const { handle } = connected();
  await rejects(handle.waitFor("A", null, { foo: 1 }), "invalid_option");
});

test("a handle watches objects", () => {
  const { handle, dispatch, names } = connected();
  assert.equal(handle.watch, handle.watch);
  const role = handle.watch.role("7", "8");
  dispatch("GUILD_ROLE_CREATE", { guild_id: "7", role: { id: "8", name: "cook" } });
  assert.equal(role.current.name, "cook");
  assert.ok(names().includes("GUILD_ROLE_UPDATE"));
});

test("the tree of events holds every name once", () => {
  const tree = Object.values(events).flatMap((group) => Object.values(group));
  assert.equal(events.message.create, "MESSAGE_CREATE");
  assert.equal(new Set(tree).size, tree.length);
  assert.ok(tree.length >= 212);
});
