// All that waits for an answer, with the real core and a fake gateway that answers:
// a user logs in, asks for everything there is, and spreads over shards.
//
//   ./build.sh wasm && node --test test/node/requests.test.mjs

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "requests-test-"));
const children = [];
after(() => {
  for (const child of children) child.kill();
  rmSync(dir, { recursive: true });
});

// What a page has and node has not.
globalThis.WebSocket ??= createRequire(join(root, "web/package.json"))("ws").WebSocket;
globalThis.location = new URL("http://127.0.0.1/");
globalThis.addEventListener = () => {};

let lib;
let http;
let ws;
let guilds;

before(async () => {
  const script = join(dir, "index.mjs");
  execFileSync(join(root, "build/bin/esbuild"), ["web/src/index.ts", "--bundle", "--format=esm", "--target=es2022", "--log-level=warning", "--alias:base=./web/src/base.module.ts", "--alias:wasm_exec=./build/wasm_exec.mjs", '--define:VERSION="0"', `--outfile=${script}`], { cwd: root });
  lib = await import(pathToFileURL(script));
  const wasm = readFileSync(join(root, "web/dist/gateway.wasm"));
  await lib.init({ host: "main", wasm: wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength) });

  const server = join(dir, "fakegateway");
  execFileSync("go", ["build", "-o", server, "./test/fakegateway/cmd/fakegateway"], { cwd: root, stdio: "inherit" });
  const child = spawn(server, ["-control", "-profile", "documented", "-mfa", "123456"], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  let text = "";
  for await (const data of child.stdout) if (/tokens.*\n/.test((text += data))) break;
  http = /http\s+(\S+)/.exec(text)[1];
  ws = /gateway\s+(\S+)/.exec(text)[1];
  ({ guilds } = await control({ action: "world" }));
});

async function control(action) {
  const response = await fetch(`${http}/control`, { method: "POST", body: JSON.stringify(action) });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

test("a user logs in with a second factor and asks for everything", async () => {
  const factor = await lib.login(http, { login: "alice@example.com", password: "correct horse" }).then(
    () => assert.fail("it asked for no code"),
    (error) => error,
  );
  assert.ok(factor instanceof lib.MfaRequired, String(factor));
  assert.equal((await factor.continue("000000").catch((e) => e)).apiCode, 60008);
  const user = await factor.continue("123456");
  const h = user.handle;
  assert.equal(h.state, "ready");
  assert.equal(typeof user.id, "string");

  const [g, other] = guilds.map((guild) => guild.id);
  const of = (type) => guilds[0].channels.find((c) => c.type === type).id;
  const [text, voice] = [of(0), of(2)];
  const ranges = { [text]: [[0, 99]] };
  const all = await h.requestGuildMembers({ guild_id: [g, other], query: "", limit: 0, presences: true });
  assert.ok(all.members.length >= 20 && all.presences.length > 0);
  const none = await h.requestGuildMembers({ guild_id: g, user_ids: ["12345"] });
  assert.deepEqual([none.members, none.notFound], [[], ["12345"]]);
  let chunks = 0;
  for await (const chunk of h.guildMemberChunks({ guild_id: [g, other], query: "", limit: 0 })) chunks += chunk.chunk_count;
  assert.equal(chunks, 2);
  assert.equal((await h.requestLastMessages({ guild_id: g, channel_ids: [text] })).messages[0].channel_id, text);
  assert.equal((await h.requestChannelStatuses({ guild_id: other })).guild_id, other);
  assert.equal((await h.requestChannelInfo({ guild_id: g, fields: ["status"] })).guild_id, g);
  assert.ok((await h.requestChannelMemberCount({ guild_id: g, channel_id: text })).member_count > 0);
  assert.equal((await h.requestDeletedEntityIDs({ guild_id: g, channel_ids_hash: "", role_ids_hash: "", emoji_ids_hash: "", sticker_ids_hash: "" })).guild_id, g);
  assert.equal((await h.resyncGuildChannels({ guild_id: g, obfuscated_channel_ids: [text] })).channels[0].id, text);
  assert.deepEqual((await h.requestSoundboardSounds({ guild_ids: [other, g] })).map((s) => s.guild_id), [other, g]);
  assert.deepEqual((await h.requestGuildSync([g, other])).map((s) => s.id), [g, other]);
  assert.equal((await h.lazyRequest({ guild_id: g, channels: ranges })).guild_id, g);
  assert.equal((await h.updateGuildSubscriptions({ subscriptions: { [g]: { channels: ranges }, [other]: { typing: true } } })).length, 1);
  assert.ok((await h.searchRecentMembers({ guild_id: g, query: "b", continuation_token: null })).members.length > 0);
  const state = { guild_id: g, channel_id: voice, self_mute: true, self_deaf: false };
  const joined = await h.updateVoiceState(state);
  assert.deepEqual([joined.state.channel_id, joined.server.guild_id], [voice, g]);
  assert.equal((await h.updateVoiceState({ ...state, self_mute: false })).server, null);
  assert.equal((await h.pingVoiceServer()).guild_id, g);
  assert.equal((await h.updateVoiceState({ ...state, channel_id: null })).state.channel_id, null);
  assert.equal((await h.updateLobbyVoiceStates([{ lobby_id: "5", self_mute: true, self_deaf: false }]))[0].lobby_id, "5");
  assert.equal((await h.pingLobbyVoiceServer({ lobby_id: "5" })).lobby_id, "5");
  const { stream, server } = await h.createStream({ type: "guild", guild_id: g, channel_id: voice });
  const { stream_key } = stream;
  assert.equal(server.stream_key, stream_key);
  assert.equal((await h.watchStream({ stream_key })).server.stream_key, stream_key);
  assert.equal((await h.setStreamPaused({ stream_key, paused: true })).paused, true);
  assert.equal((await h.pingStreamServer({ stream_key })).stream_key, stream_key);
  assert.equal((await h.deleteStream({ stream_key })).stream_key, stream_key);
  assert.equal((await h.createSpeedTest({})).server.endpoint, "127.0.0.1:3004");
  await h.deleteSpeedTest();

  // What the global object has is the same.
  assert.equal((await globalThis.spacebarGateway.requestChannelStatuses(h, { guild_id: g })).guild_id, g);
  assert.throws(() => globalThis.spacebarGateway.requestChannelStatuses({ guild_id: g }), TypeError);
  assert.equal(globalThis.spacebarGateway.login, lib.login);

  await control({ action: "faults", faults: { rate_limit_requests: 1 } });
  const limited = await h.requestGuildMembers({ guild_id: g, query: "", limit: 0 }).catch((e) => e);
  assert.ok(limited instanceof lib.RateLimitError && limited.retryAfter === 29_500, String(limited));
  assert.ok((await h.requestGuildMembers({ guild_id: g, query: "", limit: 0 })).members.length > 0);
  await user.close();
  await assert.rejects(h.requestChannelStatuses({ guild_id: g }), { code: "closed" });
});

test("identify and resume", async () => {
  const first = await lib.spawn(ws);
  const ready = await first.identify(lib.identifyCommon("token-of-alice"));
  assert.equal(ready.user.username, "alice");
  const { session } = first;
  await first.close({ resumable: true });
  const second = await lib.spawn(ws);
  await second.resume({ token: "token-of-alice", session_id: session.id, seq: session.seq });
  assert.equal(second.session.id, session.id);
  await second.close();
  const third = await lib.spawn(ws);
  await assert.rejects(third.resume({ token: "token-of-alice", session_id: "nobody's", seq: 1 }), { code: "disconnected" });
  await third.identify(lib.identifyCommon("token-of-alice"));
  await third.close();
});

test("a bot with two shards", async () => {
  const bot = await lib.gatewayBot(http, "token-of-alice");
  const limit = { ...bot.sessionStartLimit, maxConcurrency: 2 };
  const group = await lib.connectShards(bot.url, { token: "token-of-alice", shards: 2, limit });
  for (const { id } of guilds) assert.equal(group.guild(id), group.shard(lib.shardId(id, 2)));
  const seen = new Promise((resolve) => {
    const shards = new Set();
    group.observe("MESSAGE_CREATE", (message, event, shard) => shards.add(shard).size === 2 && resolve(message.content));
  });
  await control({ action: "dispatch", event: "MESSAGE_CREATE", d: { id: "1", channel_id: "2", content: "to all" } });
  assert.equal(await seen, "to all");
  await group.close();
  assert.equal(await group.done, null);
});
