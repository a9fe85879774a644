// web/src/watch.ts with a handle that is made up. ./build.sh test bundles it first.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import * as lib from "../../build/test/watch.mjs";

const { watchGuild, watchChannel, watchThread, watchRole, watchMember, watchUser, watchAutoModerationRule, watchVoiceState, watchOf } = lib;

/** A handle that events are played to. */
class Handle {
  observers = new Map();
  errors = [];
  #add(name, fn) {
    if (!this.observers.has(name)) this.observers.set(name, new Set());
    const entry = { fn };
    this.observers.get(name).add(entry);
    return () => {
      this.observers.get(name)?.delete(entry);
      if (this.observers.get(name)?.size === 0) this.observers.delete(name);
    };
  }
  observe(name, fn) {
    return this.#add(name, fn);
  }
  observeGaps(fn) {
    return this.#add("<gap>", fn);
  }
  observeState(fn) {
    return this.#add("<state>", fn);
  }
  onClose(fn) {
    return this.#add("<close>", fn);
  }
  play(name, data) {
    for (const { fn } of this.observers.get(name) ?? []) {
      try {
        fn(data);
      } catch (thrown) {
        this.errors.push(thrown);
      }
    }
  }
  gap() {
    this.play("<gap>", {});
  }
}

const parse = (text) => JSON.parse(text);
const copy = (v) => JSON.parse(JSON.stringify(v));

// ------------------------------------------------------------- the naive model

const PARTS = { channels: "channel", threads: "thread", roles: "role", emojis: "emoji", stickers: "sticker", members: "member", voice_states: "voiceState", stage_instances: "stageInstance", guild_scheduled_events: "scheduledEvent", soundboard_sounds: "soundboardSound" };
const PART_OF = Object.fromEntries(Object.entries(PARTS).map(([part, kind]) => [kind, part]));
const NOT_KEPT = ["presences", "partial_updates", "channel_updates", "activity_instances", "embedded_activities", "application_command_counts", "guild_hashes", "data_mode", "lazy", "unable_to_sync_deletes", "properties", ...Object.keys(PARTS)];
const JUNK = ["guild", "parent", "messages", "voice_states", "read_states", "invites", "webhooks"];
const PRIVATE = ["email", "phone", "mfa_enabled", "verified", "locale", "flags", "premium"];

const drop = (o, keys) => Object.fromEntries(Object.entries(o).filter(([k]) => !keys.includes(k)));
const userOf = (member) => member.user?.id ?? member.id;
const idIn = (kind, o) => ({ member: userOf, voiceState: (v) => v.user_id, soundboardSound: (v) => v.sound_id })[kind]?.(o) ?? o.id;

/**
 * What watched objects should be, worked out in the most simple-minded way, with a
 * long switch over the events. It shares nothing with the table.
 */
class Naive {
  guilds = new Map();
  alone = new Map(); // "role 5", "member 1/7"
  home = new Map();
  stale = new Set();
  gone = new Set();
  seen = new Set();
  last = "";

  constructor(...guilds) {
    for (const id of guilds) this.guilds.set(id, { own: null, parts: {} });
  }

  key(kind, guild, id) {
    return kind === "member" || kind === "voiceState" ? `${kind} ${guild}/${id}` : `${kind} ${id}`;
  }

  put(kind, guild, id, change, fresh = false) {
    if (!id) return;
    const k = this.key(kind, guild, id);
    const o = change(this.alone.get(k));
    if (o && this.watched(k)) {
      this.alone.set(k, o);
      this.gone.delete(k);
      if (fresh) this.stale.delete(k);
    }
    if (guild && kind !== "user") this.home.set(k, guild);
    const part = this.guilds.get(guild)?.parts[PART_OF[kind]];
    const inGuild = part && change(part.get(id));
    if (inGuild) part.set(id, inGuild);
  }
  watched() {
    return true;
  }

  merge(kind, guild, id, o) {
    this.put(kind, guild, id, (old) => ({ ...old, ...drop(o, JUNK) }), true);
  }
  reset(kind, guild, id, o) {
    this.put(kind, guild, id, () => drop(o, JUNK), true);
  }
  update(kind, guild, id, o) {
    this.put(kind, guild, id, (old) => old && { ...old, ...drop(o, JUNK) });
  }
  nest(kind, guild, id, field, o) {
    this.put(kind, guild, id, (old) => old && { ...old, [field]: { ...old[field], ...o } });
  }
  channel(guild, o) {
    this.merge(o.type >= 10 && o.type <= 12 ? "thread" : "channel", guild, o.id, o);
  }
  either(guild, id, o) {
    this.update("channel", guild, id, o);
    this.update("thread", guild, id, o);
  }
  member(guild, o) {
    this.merge("member", guild, userOf(o), o);
  }
  user(o) {
    if (o) this.merge("user", "", o.id, o);
  }
  presence(guild, o) {
    this.nest("member", guild, o.user.id, "presence", o);
  }
  friend(o) {
    this.nest("user", "", o.user.id, "presence", o);
  }

  remove(kind, guild, id) {
    const k = this.key(kind, guild, id);
    if (this.alone.delete(k)) this.gone.add(k);
    this.stale.delete(k);
    this.guilds.get(guild)?.parts[PART_OF[kind]]?.delete(id);
  }

  replace(kind, guild, list, complete) {
    const g = this.guilds.get(guild);
    if (g?.own) g.parts[PART_OF[kind]] = new Map();
    const there = new Set();
    for (const o of list) {
      there.add(this.key(kind, guild, idIn(kind, o)));
      this.reset(kind, guild, idIn(kind, o), o);
    }
    for (const k of complete ? [...this.alone.keys()] : []) {
      if (k.startsWith(`${kind} `) && this.home.get(k) === guild && !there.has(k)) this.remove(kind, guild, k.split(/[ /]/).at(-1));
    }
  }

  allStale() {
    this.seen.clear();
    for (const [id, g] of this.guilds) if (g.own) this.stale.add(`guild ${id}`);
    for (const k of this.alone.keys()) this.stale.add(k);
  }

  guild(o, whole) {
    this.seen.add(o.id);
    const g = this.guilds.get(o.id);
    if (g && (whole || g.own)) {
      g.own = { ...(whole ? null : g.own), ...drop(o, NOT_KEPT), ...drop(o.properties ?? {}, NOT_KEPT) };
      this.gone.delete(`guild ${o.id}`);
      if (whole) {
        g.parts = Object.fromEntries(Object.keys(PARTS).map((part) => [part, new Map()]));
        this.stale.delete(`guild ${o.id}`);
      }
    }
    for (const [part, kind] of Object.entries(PARTS)) if (o[part]) this.replace(kind, o.id, o[part], kind !== "member" && kind !== "thread");
    if (!whole) return;
    for (const p of o.presences ?? []) this.presence(o.id, p);
    for (const v of o.members ?? []) this.user(v.user);
  }

  deleteGuild(id) {
    const g = this.guilds.get(id);
    if (g) {
      if (g.own) this.gone.add(`guild ${id}`);
      Object.assign(g, { own: null, parts: {} });
      this.stale.delete(`guild ${id}`);
    }
    for (const k of [...this.alone.keys()]) {
      if (this.home.get(k) !== id) continue;
      this.alone.delete(k);
      this.stale.delete(k);
      this.gone.add(k);
    }
  }

  everyMember(d, user, f) {
    const guilds = d.guild_id ? [d.guild_id] : new Set([...this.guilds.keys(), ...[...this.alone.keys()].flatMap((k) => (k.startsWith("member ") && k.endsWith(`/${user}`) ? [k.slice(7, k.indexOf("/"))] : []))]);
    for (const id of guilds) f(id);
  }

  count(o, field, by, event) {
    return this.last !== event && typeof o?.[field] === "number" ? { ...o, [field]: o[field] + by } : o;
  }

  apply(name, d) {
    const guild = d.guild_id ?? "";
    switch (name) {
      case "READY":
        this.allStale();
        this.reset("user", "", d.user.id, d.user);
        for (const u of d.users ?? []) this.user(u);
        for (const r of d.relationships ?? []) this.user(r.user);
        for (const c of d.private_channels ?? []) for (const u of c.recipients ?? []) this.user(u);
        for (const v of (d.merged_members ?? []).flat()) this.user(v.user);
        for (const c of d.private_channels ?? []) this.reset("channel", "", c.id, c);
        for (const g of d.guilds) this.guild(g, g.unavailable !== true);
        d.merged_members?.forEach((l, i) => l.forEach((v) => this.member(d.guilds[i].id, v)));
        for (const p of d.presences ?? []) this.friend(p);
        for (const id of this.guilds.keys()) if (!this.seen.has(id)) this.deleteGuild(id);
        for (const [k, id] of this.home) if (!this.seen.has(id) && this.alone.has(k)) this.deleteGuild(id);
        break;
      case "READY_SUPPLEMENTAL":
        d.guilds.forEach((g, i) => {
          for (const v of d.merged_members?.[i] ?? []) this.user(v.user), this.member(g.id, v);
          for (const p of d.merged_presences?.guilds?.[i] ?? []) this.presence(g.id, p);
          if (g.voice_states) this.replace("voiceState", g.id, g.voice_states, true);
        });
        for (const p of d.merged_presences?.friends ?? []) this.friend(p);
        for (const c of d.lazy_private_channels ?? []) this.reset("channel", "", c.id, c);
        for (const k of [...this.alone.keys()]) {
          if (/^(channel|voiceState) /.test(k) && !this.home.has(k) && this.stale.has(k)) this.remove(...[k.split(" ")[0], "", k.split(/[ /]/).at(-1)]);
        }
        break;
      case "USER_UPDATE":
        this.user(d);
        this.everyMember({}, d.id, (id) => this.nest("member", id, d.id, "user", drop(d, PRIVATE)));
        break;
      case "USER_DELETE":
        this.remove("user", "", d.user_id);
        break;
      case "RELATIONSHIP_ADD":
        this.user(d.user);
        break;
      case "PRESENCE_UPDATE":
        if (d.user.username) this.user(d.user);
        this.friend(d);
        this.everyMember(d, d.user.id, (id) => {
          this.presence(id, d);
          this.nest("member", id, d.user.id, "user", d.user);
        });
        break;
      case "CHANNEL_CREATE":
      case "CHANNEL_UPDATE":
      case "THREAD_CREATE":
      case "THREAD_UPDATE":
        if (name.startsWith("THREAD")) this.merge("thread", guild, d.id, d);
        else this.channel(guild, d);
        if (name === "CHANNEL_CREATE") for (const u of d.recipients ?? []) this.user(u);
        break;
      case "CHANNEL_DELETE":
        this.remove("channel", guild, d.id);
        this.remove("thread", guild, d.id);
        for (const [t, o] of [...(this.guilds.get(guild)?.parts.threads ?? [])]) if (o.parent_id === d.id) this.remove("thread", guild, t);
        for (const [k, o] of [...this.alone]) if (k.startsWith("thread ") && o.parent_id === d.id) this.remove("thread", guild, k.slice(7));
        break;
      case "CHANNEL_SYNC":
        for (const c of d.channels) this.channel(guild, c);
        break;
      case "CHANNEL_UPDATE_PARTIAL":
        this.either(guild, d.id, d);
        break;
      case "CHANNEL_UNREAD_UPDATE":
      case "PASSIVE_UPDATE_V1":
      case "PASSIVE_UPDATE_V2":
        for (const c of d.channel_unread_updates ?? d.channels ?? d.updated_channels ?? []) this.either(guild, c.id, c);
        for (const v of d.members ?? d.updated_members ?? []) this.member(guild, v);
        if (d.voice_states) this.replace("voiceState", guild, d.voice_states, true);
        for (const v of d.updated_voice_states ?? []) this.merge("voiceState", guild, v.user_id, v);
        for (const id of d.removed_voice_states ?? []) this.remove("voiceState", guild, id);
        break;
      case "CHANNEL_STATUSES":
      case "CHANNEL_INFO":
        for (const c of d.channels) if ("status" in c) this.update("channel", guild, c.id, { status: c.status });
        break;
      case "VOICE_CHANNEL_STATUS_UPDATE":
        this.update("channel", guild, d.id, { status: d.status });
        break;
      case "CHANNEL_PINS_UPDATE":
        if ("last_pin_timestamp" in d) this.either(guild, d.channel_id, { last_pin_timestamp: d.last_pin_timestamp });
        break;
      case "MESSAGE_CREATE":
        this.either(guild, d.channel_id, { last_message_id: d.id });
        break;
      case "CHANNEL_RECIPIENT_ADD":
      case "CHANNEL_RECIPIENT_REMOVE": {
        const add = name.endsWith("ADD");
        if (add) this.user(d.user);
        this.put("channel", guild, d.channel_id, (old) => {
          if (!old) return old;
          const was = old.recipients ?? [];
          const there = was.some((u) => u.id === d.user.id);
          if (!there && !add) return old;
          const recipients = add ? was.map((u) => (u.id === d.user.id ? d.user : u)) : was.filter((u) => u.id !== d.user.id);
          return { ...old, recipients: there ? recipients : [...recipients, d.user] };
        });
        break;
      }
      case "THREAD_DELETE":
        this.remove("thread", guild, d.id);
        break;
      case "THREAD_LIST_SYNC": {
        const threads = this.guilds.get(guild)?.parts.threads;
        for (const [t, o] of [...(threads ?? [])]) if (!d.channel_ids || d.channel_ids.includes(o.parent_id)) threads.delete(t);
        for (const t of d.threads) this.reset("thread", guild, t.id, t);
        for (const v of d.members) this.nest("thread", guild, v.id, "member", v);
        break;
      }
      case "THREAD_MEMBER_UPDATE":
        this.nest("thread", guild, d.id, "member", drop(d, ["guild_id"]));
        break;
      case "THREAD_MEMBERS_UPDATE":
        this.update("thread", guild, d.id, { member_count: d.member_count });
        break;
      case "GUILD_CREATE":
        this.guild(d, d.unavailable !== true);
        break;
      case "GUILD_UPDATE":
        this.guild(d, false);
        break;
      case "GUILD_DELETE":
        if (!d.unavailable) return this.deleteGuild(d.id);
        this.guild(d, false);
        if (this.guilds.get(d.id)?.own) this.stale.add(`guild ${d.id}`);
        for (const k of this.alone.keys()) if (this.home.get(k) === d.id) this.stale.add(k);
        break;
      case "GUILD_SYNC":
      case "GUILD_MEMBERS_CHUNK": {
        const in_ = guild || d.id;
        for (const v of d.members) this.user(v.user), this.member(in_, v);
        for (const p of d.presences ?? []) {
          this.presence(in_, p);
          if (name === "GUILD_MEMBERS_CHUNK") this.friend(p);
        }
        for (const id of d.not_found ?? []) this.remove("member", in_, id);
        break;
      }
      case "GUILD_MEMBER_LIST_UPDATE": {
        const g = this.guilds.get(guild);
        if (g?.own && d.member_count !== undefined) g.own = { ...g.own, member_count: d.member_count };
        for (const op of d.ops) for (const { member } of [...(op.items ?? []), ...(op.item ? [op.item] : [])]) if (member) this.user(member.user), this.member(guild, member);
        break;
      }
      case "GUILD_EMOJIS_UPDATE":
        this.replace("emoji", guild, d.emojis, true);
        break;
      case "GUILD_STICKERS_UPDATE":
        this.replace("sticker", guild, d.stickers, true);
        break;
      case "SOUNDBOARD_SOUNDS":
        this.replace("soundboardSound", guild, d.soundboard_sounds, true);
        break;
      case "GUILD_ROLE_CREATE":
      case "GUILD_ROLE_UPDATE":
        this.merge("role", guild, d.role.id, d.role);
        break;
      case "GUILD_ROLE_DELETE":
        this.remove("role", guild, d.role_id);
        break;
      case "GUILD_MEMBER_ADD":
      case "GUILD_MEMBER_REMOVE": {
        const event = name + JSON.stringify(d);
        const g = this.guilds.get(guild);
        if (g) g.own = this.count(g.own, "member_count", name.endsWith("ADD") ? 1 : -1, event);
        if (name.endsWith("ADD")) this.reset("member", guild, userOf(d), d), this.user(d.user);
        else this.remove("member", guild, userOf(d));
        this.last = event;
        break;
      }
      case "GUILD_MEMBER_UPDATE":
        this.member(guild, d);
        this.user(d.user);
        break;
      case "GUILD_SCHEDULED_EVENT_CREATE":
      case "GUILD_SCHEDULED_EVENT_UPDATE":
        this.merge("scheduledEvent", guild, d.id, d);
        break;
      case "GUILD_SCHEDULED_EVENT_DELETE":
        this.remove("scheduledEvent", guild, d.id);
        break;
      case "GUILD_SCHEDULED_EVENT_USER_ADD":
      case "GUILD_SCHEDULED_EVENT_USER_REMOVE": {
        const event = name + JSON.stringify(d);
        this.put("scheduledEvent", guild, d.guild_scheduled_event_id, (old) => this.count(old, "user_count", name.endsWith("ADD") ? 1 : -1, event));
        this.last = event;
        break;
      }
      case "STAGE_INSTANCE_CREATE":
      case "STAGE_INSTANCE_UPDATE":
        this.merge("stageInstance", guild, d.id, d);
        break;
      case "STAGE_INSTANCE_DELETE":
        this.remove("stageInstance", guild, d.id);
        break;
      case "AUTO_MODERATION_RULE_CREATE":
      case "AUTO_MODERATION_RULE_UPDATE":
        this.merge("autoModerationRule", guild, d.id, d);
        break;
      case "AUTO_MODERATION_RULE_DELETE":
        this.remove("autoModerationRule", guild, d.id);
        break;
      case "VOICE_STATE_UPDATE":
        if (d.channel_id) this.merge("voiceState", guild, d.user_id, d);
        else this.remove("voiceState", guild, d.user_id);
        break;
    }
  }

  plain(id) {
    const { own, parts } = this.guilds.get(id);
    return own && { ...own, ...Object.fromEntries(Object.entries(parts).map(([part, map]) => [part, Object.fromEntries(map)])) };
  }
}

/** A version of a guild as plain objects. */
const plain = (guild) => guild && Object.fromEntries(Object.entries(guild).map(([k, v]) => [k, typeof v?.forEach === "function" && !Array.isArray(v) ? Object.fromEntries(v) : v]));

// --------------------------------------------------------------- random events

/** Random numbers that are the same for the same seed. */
function random(seed) {
  let a = seed + 0x9e3779b9;
  return (n) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

function world(seed) {
  const r = random(seed);
  const pick = (...of) => of[r(of.length)];
  const BASE = { guild: [10, 3], channel: [200, 9], thread: [300, 9], role: [40, 9], user: [5000, 14], rule: [60, 9], emoji: [70, 9], sticker: [80, 9], stage: [90, 9], event: [100, 9], sound: [110, 9], message: [9000, 999], dm: [900, 4] };
  const id = (kind) => String(BASE[kind][0] + r(BASE[kind][1]));
  const text = () => pick(null, "a", "b", "__proto__", "");
  const small = () => r(3);
  const bool = () => r(2) === 0;
  const some = (o, fields) => {
    for (const [k, f] of Object.entries(fields)) if (bool()) o[k] = f();
    if (r(4) === 0) o[`new_field_${r(2)}`] = { n: r(3) };
    if (r(30) === 0) Object.defineProperty(o, "__proto__", { value: { polluted: true }, enumerable: true, configurable: true, writable: true });
    if (r(30) === 0) o.constructor = { prototype: { polluted: true } };
    return o;
  };
  const many = (most, f) => Array.from({ length: r(most + 1) }, f);
  const each = (most, key, f) => [...new Map(many(most, f).map((o) => [key(o), o])).values()];
  const byId = (o) => o.id;
  const channel = (thread) =>
    some(thread ? { id: id("thread"), type: 10 + r(3), parent_id: id("channel") } : { id: id("channel"), type: r(3) }, {
      name: text, topic: text, position: small, nsfw: bool, last_message_id: () => pick(null, id("message")), member_count: small, parent: () => ({ id: "1" }),
      permission_overwrites: () => many(2, () => ({ id: id("role"), type: 0, allow: "8", deny: "0" })), thread_metadata: () => ({ archived: bool() }), status: text,
    });
  const role = () => some({ id: id("role") }, { name: text, color: small, tags: () => pick(null, { bot_id: id("user") }) });
  const user = () => some({ id: id("user"), username: pick("a", "b") }, { avatar: text, global_name: text, bot: bool, primary_guild: () => pick(null, { tag: text() }) });
  const presence = () => some({ user: bool() ? { id: id("user") } : user() }, { status: () => pick("online", "idle"), activities: () => many(2, () => ({ name: text() })), client_status: () => some({}, { web: () => "online" }) });
  const member = () => some({ user: user(), roles: many(3, () => id("role")) }, { nick: text, deaf: bool, flags: small, guild: () => ({ id: "1" }), ...(r(5) ? {} : { presence: () => ({ user: { id: "1" }, status: "online" }) }) });
  const voice = () => some({ user_id: id("user"), channel_id: id("channel"), session_id: "s" }, { mute: bool, self_stream: bool });
  const thing = (kind, key = "id") => () => some({ [key]: id(kind), name: text() }, { description: text, available: bool, user_count: small });
  const members = (most) => each(most, userOf, member);
  const guildFields = (o) => some(o, { name: text, icon: text, owner_id: () => id("user"), features: () => many(2, text) });
  const lists = (o, chance) => {
    const all = {
      channels: () => each(6, byId, () => channel(false)), threads: () => each(4, byId, () => channel(true)), roles: () => each(5, byId, role), emojis: () => each(3, byId, thing("emoji")),
      stickers: () => each(3, byId, thing("sticker")), members: () => members(8), voice_states: () => each(3, (v) => v.user_id, voice), presences: () => each(5, userOf, presence),
      stage_instances: () => each(2, byId, thing("stage")), guild_scheduled_events: () => each(3, byId, thing("event")), soundboard_sounds: () => each(3, (s) => s.sound_id, thing("sound", "sound_id")),
    };
    for (const [part, f] of Object.entries(all)) if (r(10) < chance) o[part] = f();
    return o;
  };
  const guild = () => {
    const o = { id: id("guild"), member_count: 10 + r(5), lazy: true, guild_hashes: {} };
    if (bool()) o.properties = guildFields({ id: o.id });
    else guildFields(o);
    return lists(o, 8);
  };
  const ready = () => {
    const guilds = each(3, byId, () => (r(6) ? drop(guild(), ["members"]) : { id: id("guild"), unavailable: true }));
    return ["READY", { user: { ...user(), email: "alice@example.com" }, guilds, merged_members: guilds.map(() => members(3)), users: each(4, byId, user), presences: each(2, userOf, presence),
      relationships: [{ id: "1", type: 1, user: user() }], private_channels: each(3, byId, () => ({ id: id("dm"), type: 1, name: text(), recipients: each(2, byId, user) })) }];
  };
  const event = () => {
    const guild_id = id("guild");
    const make = pick(
      () => ["GUILD_CREATE", guild()],
      () => (r(4) ? ["GUILD_UPDATE", lists(guildFields({ id: guild_id }), 1)] : ["GUILD_DELETE", r(2) ? { id: guild_id } : { id: guild_id, unavailable: true }]),
      () => ["READY_SUPPLEMENTAL", (() => {
        const guilds = each(2, byId, () => (bool() ? { id: id("guild") } : { id: id("guild"), voice_states: each(3, (v) => v.user_id, voice) }));
        return { guilds, merged_members: guilds.map(() => members(2)), merged_presences: { guilds: guilds.map(() => each(2, userOf, presence)), friends: each(2, userOf, presence) }, lazy_private_channels: [{ id: id("dm"), type: 1 }] };
      })()],
      () => [pick("CHANNEL_CREATE", "CHANNEL_UPDATE"), { guild_id, ...channel(r(4) === 0) }],
      () => (bool() ? ["CHANNEL_CREATE", { id: id("dm"), type: 1, recipients: each(2, byId, user) }] : ["CHANNEL_DELETE", { guild_id, ...channel(r(4) === 0) }]),
      () => [pick("CHANNEL_RECIPIENT_ADD", "CHANNEL_RECIPIENT_REMOVE"), { channel_id: id("dm"), user: user() }],
      () => ["CHANNEL_SYNC", { guild_id, channels: each(4, byId, () => channel(false)) }],
      () => ["CHANNEL_UPDATE_PARTIAL", { guild_id, id: id("channel"), last_message_id: id("message") }],
      () => [pick("CHANNEL_STATUSES", "CHANNEL_INFO"), { guild_id, channels: each(3, byId, () => some({ id: id("channel") }, { status: text })) }],
      () => ["VOICE_CHANNEL_STATUS_UPDATE", { guild_id, id: id("channel"), status: text() }],
      () => ["CHANNEL_PINS_UPDATE", some({ guild_id, channel_id: id(pick("channel", "thread")) }, { last_pin_timestamp: text })],
      () => ["MESSAGE_CREATE", bool() ? { guild_id, id: id("message"), channel_id: id(pick("channel", "thread")) } : { guild_id: null, id: id("message"), channel_id: id("dm") }],
      () => [pick("THREAD_CREATE", "THREAD_UPDATE"), { guild_id, ...channel(true) }],
      () => ["THREAD_DELETE", { guild_id, id: id("thread") }],
      () => ["THREAD_LIST_SYNC", { guild_id, threads: each(4, byId, () => channel(true)), members: many(3, () => ({ id: id("thread"), user_id: "1", flags: r(3) })), ...(bool() ? { channel_ids: many(4, () => id("channel")) } : {}) }],
      () => ["THREAD_MEMBER_UPDATE", some({ guild_id, id: id("thread"), user_id: "1" }, { flags: small, muted: bool })],
      () => ["THREAD_MEMBERS_UPDATE", { guild_id, id: id("thread"), member_count: r(3) }],
      () => [pick("GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE"), { guild_id, role: role() }],
      () => ["GUILD_ROLE_DELETE", { guild_id, role_id: id("role") }],
      () => [pick("GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE"), { guild_id, ...member() }],
      () => ["GUILD_MEMBER_REMOVE", { guild_id, user: user() }],
      () => ["GUILD_MEMBERS_CHUNK", { guild_id, members: members(6), presences: each(4, userOf, presence), not_found: many(2, () => id("user")) }],
      () => ["GUILD_SYNC", { id: guild_id, members: members(4), presences: each(4, userOf, presence) }],
      () => ["GUILD_MEMBER_LIST_UPDATE", { guild_id, id: "everyone", member_count: r(20), ops: [{ op: "SYNC", items: [{ group: { id: "online" } }, ...members(3).map((m) => ({ member: m }))] }, { op: "UPDATE", item: { member: member() } }] }],
      () => ["GUILD_EMOJIS_UPDATE", { guild_id, emojis: each(4, byId, thing("emoji")) }],
      () => ["GUILD_STICKERS_UPDATE", { guild_id, stickers: each(4, byId, thing("sticker")) }],
      () => ["SOUNDBOARD_SOUNDS", { guild_id, soundboard_sounds: each(4, (s) => s.sound_id, thing("sound", "sound_id")) }],
      () => [pick("STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_UPDATE", "STAGE_INSTANCE_DELETE"), { guild_id, ...thing("stage")() }],
      () => [pick("GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_UPDATE", "GUILD_SCHEDULED_EVENT_DELETE"), { guild_id, ...thing("event")() }],
      () => [pick("GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE"), { guild_id, guild_scheduled_event_id: id("event"), user_id: id("user") }],
      () => [pick("AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE", "AUTO_MODERATION_RULE_DELETE"), some({ guild_id, id: id("rule"), name: text() }, { enabled: bool })],
      () => ["VOICE_STATE_UPDATE", { ...voice(), ...pick({ guild_id }, { guild_id, channel_id: null }, { guild_id: null, channel_id: null }, {}) }],
      () => ["PRESENCE_UPDATE", { ...presence(), ...(bool() ? { guild_id } : {}) }],
      () => pick(["USER_UPDATE", { ...user(), email: text(), locale: "en-US" }], ["RELATIONSHIP_ADD", { id: "1", user: user() }], ["USER_DELETE", { user_id: id("user") }]),
      () => (bool()
        ? ["PASSIVE_UPDATE_V1", { guild_id, members: members(2), channels: [{ id: id("channel"), last_message_id: id("message") }], ...(bool() ? { voice_states: each(3, (v) => v.user_id, voice) } : {}) }]
        : ["PASSIVE_UPDATE_V2", { guild_id, updated_members: members(2), updated_channels: [], updated_voice_states: each(2, (v) => v.user_id, voice), removed_voice_states: many(2, () => id("user")) }]),
    );
    return make();
  };
  return { event, ready };
}

/** Watches much of what world() makes up. The keys are those of the model. */
function watchAlone(handle) {
  const alone = new Map();
  for (let i = 0; i < 9; i++) {
    alone.set(`channel ${200 + i}`, watchChannel(handle, `${200 + i}`));
    alone.set(`thread ${300 + i}`, watchThread(handle, `${300 + i}`));
    alone.set(`role ${40 + i}`, watchRole(handle, "10", `${40 + i}`));
    alone.set(`autoModerationRule ${60 + i}`, watchAutoModerationRule(handle, `${60 + i}`));
    alone.set(`user ${5000 + i}`, watchUser(handle, `${5000 + i}`));
    alone.set(`member 10/${5000 + i}`, watchMember(handle, "10", `${5000 + i}`));
    alone.set(`member 12/${5000 + i}`, watchMember(handle, "12", `${5000 + i}`));
    alone.set(`voiceState 10/${5000 + i}`, watchVoiceState(handle, "10", `${5000 + i}`));
    alone.set(`voiceState /${5000 + i}`, watchVoiceState(handle, null, `${5000 + i}`));
  }
  for (let i = 0; i < 4; i++) alone.set(`channel ${900 + i}`, watchChannel(handle, `${900 + i}`));
  return alone;
}

const frozen = (v) => {
  if (typeof v === "object" && v !== null && !Object.isFrozen(v)) Object.values(Object.freeze(v)).forEach(frozen);
  return v;
};

test("agrees with the naive model, whatever comes", () => {
  for (let seed = 0; seed < 12; seed++) {
    const handle = new Handle();
    const guilds = new Map(["10", "11"].map((id) => [id, watchGuild(handle, id)])); // of three
    const alone = watchAlone(handle);
    const model = new Naive(...guilds.keys());
    model.watched = (k) => alone.has(k);
    const { event, ready } = world(seed);
    for (let step = 0; step < 300; step++) {
      const gap = step % 97 === 96;
      const [name, data] = gap ? ["a gap", {}] : step % 150 === 0 ? ready() : event();
      const was = new Map([...guilds, ...alone].map(([k, w]) => [k, { w, current: w.current, state: [w.stale, w.deleted], told: 0 }]));
      const stops = [...was.values()].map((s) => s.w.subscribe(() => s.told++));
      if (gap) {
        handle.gap();
        model.allStale();
      } else {
        handle.play(name, frozen(parse(JSON.stringify(data)))); // it is not ours to change
        model.apply(name, parse(JSON.stringify(data)));
      }
      const where = `seed ${seed}, step ${step}: ${name}`;
      assert.deepEqual(handle.errors, [], where);
      for (const [id, w] of guilds) {
        assert.deepEqual(plain(w.current), model.plain(id), `${where}: guild ${id}`);
        assert.deepEqual([w.stale, w.deleted], [model.stale.has(`guild ${id}`), model.gone.has(`guild ${id}`)], `${where}: guild ${id}`);
      }
      for (const [k, w] of alone) {
        assert.deepEqual(w.current, model.alone.get(k) ?? null, `${where}: ${k}`);
        assert.deepEqual([w.stale, w.deleted], [model.stale.has(k), model.gone.has(k)], `${where}: ${k}`);
      }
      for (const [k, { w, current, state, told }] of was) {
        assert.equal(told, +(w.current !== current || w.stale !== state[0] || w.deleted !== state[1]), `${where}: ${k} told`);
        if (w.current !== current && w.current && current) assert.notDeepEqual(plain(w.current), plain(current), `${where}: ${k} is another version of the same`);
      }
      for (const stop of stops) stop();
      if (gap || name === "READY" || name === "GUILD_CREATE") continue;
      // Servers send events more than once. The same again is no change.
      const before = [...guilds.values(), ...alone.values()].map((w) => w.current);
      handle.play(name, parse(JSON.stringify(data)));
      [...guilds.values(), ...alone.values()].forEach((w, i) => assert.equal(w.current, before[i], `${where}: the same event again`));
    }
  }
  assert.equal({}.polluted, undefined);
});

test("the captures end in the state that READY or GUILD_CREATE plus events imply", () => {
  const captures = new URL("../captures/", import.meta.url);
  let changes = 0;
  for (const file of readdirSync(captures).filter((name) => name.endsWith(".expected.jsonl"))) {
    const handle = new Handle();
    const events = readFileSync(new URL(file, captures), "utf8").trim().split("\n").map(parse).filter(({ op }) => op === 0);
    const heardOf = new Set(events.flatMap(({ t, d }) => (t === "READY" ? d.guilds : t === "GUILD_CREATE" ? [d] : []).map((guild) => guild.id)));
    const guilds = new Map([...heardOf].map((id) => [id, watchGuild(handle, id)]));
    for (const w of guilds.values()) w.subscribe(() => changes++);
    const model = new Naive(...guilds.keys());
    model.watched = () => false; // nothing but guilds
    for (const { t, d } of events) {
      handle.play(t, frozen(copy(d)));
      model.apply(t, copy(d));
    }
    assert.deepEqual(handle.errors, [], file);
    assert.ok(guilds.size > 1, `${file} has no guilds`);
    for (const [id, w] of guilds) {
      assert.deepEqual(plain(w.current), model.plain(id), `${file}: guild ${id}`);
      assert.equal(w.stale, false);
    }
  }
  assert.ok(changes > 100, `${changes} changes`);
});

const small = () => ({
  id: "10",
  name: "house",
  member_count: 2,
  channels: [{ id: "201", type: 0, name: "hall" }, { id: "202", type: 0, name: "attic", permission_overwrites: [{ id: "41", allow: "8" }] }],
  roles: [{ id: "41", name: "owner" }],
  members: [{ user: { id: "51", username: "ann" }, roles: ["41"] }, { user: { id: "52", username: "bob" }, roles: [] }],
});

test("a version shares with the last one whatever has not changed", () => {
  const handle = new Handle();
  const w = watchOf(handle).guild(small());
  const channel = watchOf(handle).channel("202");
  const before = w.current;
  assert.equal(before.name, "house");
  assert.equal(before.channels.get("202"), channel.current, "the same object wherever it is watched");
  assert.equal(w.getSnapshot(), before);

  handle.play("CHANNEL_UPDATE", { guild_id: "10", id: "202", type: 0, name: "cellar", permission_overwrites: [{ id: "41", allow: "8" }] });
  const after = w.current;
  assert.notEqual(after, before);
  assert.equal(after.channels.get("202").name, "cellar");
  assert.equal(before.channels.get("202").name, "attic", "a version does not change");
  assert.equal(after.channels.get("202"), channel.current);
  assert.equal(after.channels.get("202").permission_overwrites, before.channels.get("202").permission_overwrites, "equal is the same, at any depth");
  assert.equal(after.channels.get("201"), before.channels.get("201"));
  for (const part of ["members", "roles", "threads", "emojis"]) assert.equal(after[part], before[part]);

  handle.play("MESSAGE_CREATE", { guild_id: "11", id: "9", channel_id: "202" });
  assert.equal(w.current.channels, after.channels, "an event of another guild");
});

test("collections are maps in the order of the ids", () => {
  const handle = new Handle();
  const { members } = watchGuild(handle, { id: "10", members: ["100", "9", "20"].map((id) => ({ user: { id } })) }).current;
  assert.equal(members.size, 3);
  assert.deepEqual([...members.keys()], ["9", "20", "100"]);
  assert.deepEqual([...members.values()].map((m) => m.user.id), ["9", "20", "100"]);
  assert.deepEqual([...members].map(([id]) => id), [...members.keys()]);
  const seen = [];
  members.forEach(function (m, id, map) {
    seen.push([this.x, id, map.get(id) === m]);
  }, { x: 1 });
  assert.deepEqual(seen, [[1, "9", true], [1, "20", true], [1, "100", true]]);
  assert.equal(members.has("20"), true);
  assert.equal(members.get("21"), undefined);
});

/** What React's useSyncExternalStore does, as far as its contract goes. */
class Component {
  renders = 0;
  constructor(subscribe, getSnapshot) {
    this.getSnapshot = getSnapshot;
    this.render();
    this.unmount = subscribe(() => {
      if (!Object.is(this.getSnapshot(), this.shown)) this.render();
    });
    if (!Object.is(getSnapshot(), this.shown)) this.render();
  }
  render() {
    this.renders++;
    this.shown = this.getSnapshot();
    assert.ok(Object.is(this.shown, this.getSnapshot()), "getSnapshot should be cached to avoid an infinite loop");
  }
}

test("works with useSyncExternalStore as it is", () => {
  const handle = new Handle();
  const w = watchGuild(handle, "10");
  const { subscribe, getSnapshot } = w; // bound
  const guild = new Component(subscribe, getSnapshot);
  const name = new Component(subscribe, () => w.current?.name);
  const stale = new Component(subscribe, () => w.stale);
  assert.equal(guild.shown, null);
  handle.play("GUILD_CREATE", small());
  assert.equal(guild.shown.name, "house");
  assert.deepEqual([guild.renders, name.renders, stale.renders], [2, 2, 1]);
  handle.play("CHANNEL_UPDATE", { guild_id: "10", id: "201", name: "hall", type: 0 }); // gains guild_id
  handle.play("CHANNEL_UPDATE", { guild_id: "10", id: "201", name: "hall", type: 0 });
  handle.play("TYPING_START", { guild_id: "10" });
  assert.deepEqual([guild.renders, name.renders, stale.renders], [3, 2, 1]);
  handle.gap();
  assert.deepEqual([guild.renders, name.renders, stale.renders], [3, 2, 2]);
  guild.unmount();
  handle.play("GUILD_UPDATE", { id: "10", name: "villa" });
  assert.deepEqual([guild.renders, name.renders], [3, 3]);
});

test("is stale from a gap until READY or GUILD_CREATE tells all", () => {
  const handle = new Handle();
  const [guild, other] = [watchGuild(handle, small()), watchGuild(handle, { ...small(), id: "11" })];
  const role = watchRole(handle, "10", "41");
  assert.deepEqual([guild.stale, role.stale], [false, false]);
  handle.gap();
  assert.deepEqual([guild.stale, role.stale, guild.deleted], [true, true, false]);
  handle.play("GUILD_UPDATE", { id: "10", name: "villa" });
  assert.equal(guild.stale, true, "one field is not all");
  const before = guild.current;
  handle.play("READY", { user: { id: "1" }, guilds: [{ ...small(), name: "villa" }] });
  assert.deepEqual([guild.stale, role.stale], [false, false]);
  assert.equal(guild.current, before, "nothing was missed");
  assert.deepEqual([other.current, other.deleted], [null, true], "the account is no more in it");
  handle.play("GUILD_DELETE", { id: "10", unavailable: true });
  assert.deepEqual([guild.stale, guild.current.unavailable], [true, true]);
  handle.play("GUILD_CREATE", small());
  assert.deepEqual([guild.stale, guild.current.unavailable], [false, undefined]);
  handle.play("<state>", { state: "backoff" });
  assert.equal(guild.stale, false, "it may yet resume");
  handle.play("<state>", { state: "closed" });
  assert.equal(guild.stale, true);
});

test("only what is watched is observed", () => {
  const handle = new Handle();
  const names = () => [...handle.observers.keys()].sort();
  const role = watchRole(handle, "10", { id: "41", name: "owner" });
  const few = names();
  assert.ok(few.includes("GUILD_ROLE_UPDATE") && !few.includes("PRESENCE_UPDATE") && !few.includes("MESSAGE_CREATE"), few.join());
  const guild = watchGuild(handle, small());
  const again = watchGuild(handle, "10");
  assert.equal(again.current, guild.current);
  assert.ok(names().includes("PRESENCE_UPDATE"));
  guild.release();
  guild.release(); // does nothing more
  assert.ok(names().includes("PRESENCE_UPDATE"), "somebody still watches it");
  again.release();
  assert.deepEqual(names(), few);
  role.release();
  assert.deepEqual(names(), []);
  assert.equal(role.current.name, "owner", "the last version");
  role.subscribe(() => assert.fail("released"));
  handle.play("GUILD_ROLE_UPDATE", { guild_id: "10", role: { id: "41", name: "none" } });
  const anew = watchRole(handle, "10", "41");
  assert.equal(anew.current, null, "nothing was kept");
});

test("limits", () => {
  const handle = new Handle();
  const told = [];
  const member = (id) => ({ guild_id: "10", user: { id } });
  const w = watchGuild(handle, "10", { limits: { members: 2, roles: 0 }, onLimit: (l) => told.push(l) });
  handle.play("GUILD_CREATE", small());
  assert.deepEqual([w.current.members.size, w.current.roles.size, told.length], [2, 0, 0]);
  for (const id of ["53", "54", "55"]) handle.play("GUILD_MEMBER_ADD", member(id));
  assert.deepEqual(told, [{ guild: "10", part: "members", max: 2 }]);
  assert.deepEqual([...w.current.members.keys()], ["51", "52"]);
  handle.play("GUILD_MEMBER_UPDATE", { ...member("52"), nick: "b" });
  assert.equal(w.current.members.get("52").nick, "b", "who is known is kept up to date");
  handle.play("GUILD_MEMBER_REMOVE", member("51"));
  handle.play("GUILD_MEMBER_ADD", member("53"));
  assert.deepEqual([...w.current.members.keys()], ["52", "53"]);
  handle.play("GUILD_CREATE", { ...small(), members: ["1", "2", "3"].map(member) });
  assert.equal(told.length, 2, "once more, as the guild was made anew");
  watchGuild(handle, "10", { limits: { members: 3 } });
  handle.play("GUILD_MEMBER_ADD", member("9"));
  assert.equal(w.current.members.size, 3);

  const seeded = [];
  watchGuild(handle, { ...small(), id: "12" }, { limits: { channels: 1 }, onLimit: (l) => seeded.push(l) });
  assert.deepEqual(seeded, [{ guild: "12", part: "channels", max: 1 }]);
  for (const limits of [{ members: -1 }, { members: "x" }, { pets: 1 }, 5]) assert.throws(() => watchGuild(handle, "10", { limits }), { code: "invalid_option" });
});

test("wrong calls are refused", () => {
  const handle = new Handle();
  for (const call of [() => watchGuild(handle), () => watchGuild(handle, ""), () => watchGuild(handle, "__proto__"), () => watchGuild(handle, {}), () => watchRole(handle, "nope", "41"), () => watchRole(handle, "10", "0"), () => watchGuild(handle, "10", { colour: 1 })]) {
    assert.throws(call, { code: "invalid_option" });
  }
  assert.equal(handle.observers.size, 0);
});

test("what the caller knows is the first version, if nobody knows better", () => {
  const handle = new Handle();
  const first = watchMember(handle, "10", { user: { id: "51" }, nick: "a" });
  const second = watchMember(handle, "10", { user: { id: "51" }, nick: "b" });
  assert.equal(first.current.nick, "a");
  assert.equal(second.current, first.current);
  assert.equal(watchGuild(handle, { id: "13", unavailable: true }).current, null, "that is no guild to speak of");
});

test("an observer that throws disturbs nobody", () => {
  const handle = new Handle();
  const w = watchUser(handle, { id: "1", username: "a" });
  const seen = [];
  const stop = w.subscribe(() => {
    seen.push("first");
    leave();
    throw new Error("of the user's");
  });
  const leave = w.subscribe(() => seen.push("left"));
  w.subscribe(() => seen.push(w.current.username));
  handle.play("USER_UPDATE", { id: "1", username: "b" });
  assert.deepEqual(seen, ["first", "b"]);
  assert.deepEqual(handle.errors.map(String), ["Error: of the user's"], "the handle is told");
  stop();
  handle.play("USER_UPDATE", { id: "1", username: "c" });
  assert.deepEqual(seen, ["first", "b", "c"]);
});

test("hostile payloads", () => {
  const handle = new Handle();
  const w = watchGuild(handle, "10");
  const user = watchUser(handle, "51");
  const hostile = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":0';
  handle.play("GUILD_CREATE", parse(`${hostile},"id":"10","properties":${hostile},"name":"x"},"members":[{"user":${hostile},"id":"51"}},{"user":{"id":"__proto__"}},null,5,"x",[],{"user":7}],"channels":{"0":{}},"roles":[[{"id":"1"}]]}`));
  handle.play("GUILD_MEMBER_UPDATE", parse(`${hostile},"guild_id":"10","user":${hostile},"id":"51"},"nick":"n"}`));
  handle.play("PRESENCE_UPDATE", parse(`${hostile},"user":${hostile},"id":"51","username":"u"},"status":"idle"}`));
  const member = w.current.members.get("51");
  assert.equal(member.nick, "n");
  assert.equal(w.current.members.size, 1);
  assert.equal(w.current.channels.size, 0);
  for (const v of [w.current, member, member.user, member.presence, user.current]) {
    assert.equal(Object.getPrototypeOf(v), Object.prototype);
    assert.deepEqual(Object.getOwnPropertyDescriptor(v, "__proto__").value, { polluted: 1 }, "a key like any other");
  }
  for (const v of [{}, [], () => {}]) assert.equal(v.polluted, undefined);

  // Nothing that a payload may be breaks anything, and nesting costs no stack.
  const nested = "[".repeat(5000) + "]".repeat(5000);
  const deep = parse(nested);
  for (const name of [...handle.observers.keys()].filter((n) => !n.startsWith("<"))) {
    for (const d of [null, 5, "x", [], [[]], {}, { id: "10" }, { guilds: 5, members: "x" }, { guild_id: "10", user: null, members: [null], ops: [null], channels: [deep], threads: deep }, { id: "51", guild_id: "10", user: { id: "51" }, x: deep }, { id: "51", guild_id: "10", user: { id: "51" }, x: parse(nested) }]) handle.play(name, d);
  }
  assert.deepEqual(handle.errors, []);
});

/** How many nodes of the trees of a guild's parts are not those of an earlier version. */
function copied(before, after) {
  let n = 0;
  for (const [part, { root }] of Object.entries(after).filter(([, v]) => v?.root !== undefined)) {
    const old = (id) => {
      let t = before[part].root;
      while (t && t.id !== id) t = Number(id) < Number(t.id) ? t.left : t.right;
      return t;
    };
    const visit = (t) => t && t !== old(t.id) && (n++, visit(t.left), visit(t.right));
    visit(root);
  }
  return n;
}

test("what an event costs does not grow with the guild", () => {
  const work = new Map();
  for (const size of [100, 10_000, 100_000]) {
    const handle = new Handle();
    const members = Array.from({ length: size }, (_, i) => ({ user: { id: `${1000 + i * 7}` }, roles: [] }));
    const w = watchGuild(handle, { id: "10", members });
    const r = random(1);
    let most = 0;
    for (let i = 0; i < 20; i++) {
      const before = w.current;
      const { user } = members[r(size)];
      const name = ["GUILD_MEMBER_UPDATE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"][i % 3];
      handle.play(name, { guild_id: "10", user: i % 3 === 1 ? { id: `${i}` } : user, nick: `${i}` });
      most = Math.max(most, copied(before, w.current));
    }
    work.set(size, most);
  }
  // A path down a balanced tree, and little beside it.
  for (const [size, most] of work) assert.ok(most <= 3 * Math.log2(size), `${most} nodes copied of ${size}`);
  assert.ok(work.get(100_000) < 4 * work.get(100), JSON.stringify([...work]));

  // The whole of what there is stays balanced whatever comes and goes.
  const handle = new Handle();
  const w = watchGuild(handle, { id: "10" });
  const r = random(2);
  const there = new Map();
  for (let i = 0; i < 4000; i++) {
    const id = `${i % 2 ? 1 + r(600) : i}`; // some in order, some not
    if (id === "0") continue;
    if (r(3) === 0) {
      handle.play("GUILD_MEMBER_REMOVE", { guild_id: "10", user: { id } });
      there.delete(id);
    } else {
      handle.play("GUILD_MEMBER_ADD", { guild_id: "10", user: { id } });
      there.set(id, true);
    }
  }
  assert.deepEqual([...w.current.members.keys()], [...there.keys()].sort((a, b) => a - b));
  const depth = (t) => (t ? 1 + Math.max(depth(t.left), depth(t.right)) : 0);
  assert.ok(depth(w.current.members.root) <= 2.5 * Math.log2(there.size), `${depth(w.current.members.root)} levels for ${there.size}`);
});
