/**
 * Objects that keep themselves up to date: a watched guild, channel, thread, role,
 * member, user, auto moderation rule or voice state is changed by the events that
 * concern it, and by nothing else. Which event changes what is the table in
 * watch.gen.ts; here is what its words mean.
 *
 * A version of an object never changes. The next one shares with it whatever is
 * the same, so that `===` tells what has changed, and costs as much as has.
 */
import { describe, fail } from "./errors.js";
import type { GatewayHandle } from "./handle.js";
import type { Unsubscribe } from "./observers.js";
import type { Snowflake } from "./protocol.gen.js";
import { check } from "./requests.js";
import { kinds, parts, rules, type GuildParts, type KindName, type WatchedGuild, type WatchedObjects } from "./watch.gen.js";

/**
 * A watched object. `subscribe` and `getSnapshot` are bound to it, so that
 * `useSyncExternalStore(watched.subscribe, watched.getSnapshot)` is all it takes to
 * show it with React.
 */
export interface Watched<T> {
  /**
   * The present version, or null: no event has brought the object yet, or it is
   * deleted. It is the same object until something in it changes, and is not to be
   * changed: other versions share its parts.
   */
  readonly current: T | null;
  /**
   * Whether events may have been missed since the present version was made. It
   * stays so until the server tells the whole of the object again, at the latest
   * with READY if that contains it.
   */
  readonly stale: boolean;
  /** Whether the object was there and is no more, as far as the account can see. It may come back. */
  readonly deleted: boolean;
  /** Returns `current`. */
  readonly getSnapshot: () => T | null;
  /**
   * Calls fn after every event that changes `current`, `stale` or `deleted`, when all
   * watched objects have taken it in.
   */
  readonly subscribe: (fn: () => void) => Unsubscribe;
  /**
   * Ends it: nobody who subscribed here is called any more, and once the last one
   * to watch the object has released it, nothing is observed for it.
   */
  readonly release: () => void;
}

/** Tells of a part of a guild that is not complete. */
export interface Limited {
  /** The id of the guild. */
  readonly guild: Snowflake;
  readonly part: keyof GuildParts;
  /** The limit that was reached. */
  readonly max: number;
}

/** Options of watching a guild. */
export interface WatchGuildOptions {
  /**
   * How many objects a part of the guild may contain, 100,000 by default; of 0 none
   * are kept. Whoever watches the same guild with a higher limit prevails.
   */
  limits?: { readonly [part in keyof GuildParts]?: number } | undefined;
  /**
   * Is called when there are more than a limit allows. These are not kept. It is
   * called once, and again when READY or GUILD_CREATE has made the guild anew.
   */
  onLimit?: ((limit: Limited) => void) | undefined;
}

/**
 * What to watch: an id or, so that there is something to see before the next event
 * brings it, the object itself as an event of just now has it.
 */
export type Watchable<T> = Snowflake | T;

type Id = { readonly id: Snowflake };

/**
 * Watches a guild: its own fields, channels, threads, roles, members and the rest
 * of its parts. Throws "invalid_option".
 *
 * ```ts
 * handle.observe("READY", (ready) => {
 *   for (const guild of ready.guilds) guilds.push(watchGuild(handle, guild));
 * });
 * ```
 */
export function watchGuild(handle: GatewayHandle, guild: Watchable<Id>, options: WatchGuildOptions = {}): Watched<WatchedGuild> {
  return start(handle, "guild", null, guild, options);
}

/** Watches a channel of a guild, or a private one. Throws "invalid_option". */
export function watchChannel(handle: GatewayHandle, channel: Watchable<Id>): Watched<WatchedObjects["channel"]> {
  return start(handle, "channel", null, channel);
}

/** Watches a thread. Throws "invalid_option". */
export function watchThread(handle: GatewayHandle, thread: Watchable<Id>): Watched<WatchedObjects["thread"]> {
  return start(handle, "thread", null, thread);
}

/** Watches a role of a guild. Throws "invalid_option". */
export function watchRole(handle: GatewayHandle, guild: Snowflake, role: Watchable<Id>): Watched<WatchedObjects["role"]> {
  return start(handle, "role", guild, role);
}

/** Watches a member of a guild, whose id is that of the user, and the member's presence. Throws "invalid_option". */
export function watchMember(handle: GatewayHandle, guild: Snowflake, member: Watchable<{ readonly user?: Id }>): Watched<WatchedObjects["member"]> {
  return start(handle, "member", guild, member);
}

/** Watches a user, the account's own or another, and the user's presence. Throws "invalid_option". */
export function watchUser(handle: GatewayHandle, user: Watchable<Id>): Watched<WatchedObjects["user"]> {
  return start(handle, "user", null, user);
}

/** Watches a rule of a guild's auto moderation. Throws "invalid_option". */
export function watchAutoModerationRule(handle: GatewayHandle, rule: Watchable<Id>): Watched<WatchedObjects["autoModerationRule"]> {
  return start(handle, "autoModerationRule", null, rule);
}

/**
 * Watches where in a guild a user speaks or, if guild is null, in which call outside
 * of guilds. Someone who is in no voice channel has no voice state: `current` is
 * null. Throws "invalid_option".
 */
export function watchVoiceState(handle: GatewayHandle, guild: Snowflake | null, user: Watchable<{ readonly user_id: Snowflake }>): Watched<WatchedObjects["voiceState"]> {
  return start(handle, "voiceState", guild, user);
}

const functions = {
  guild: watchGuild,
  channel: watchChannel,
  thread: watchThread,
  role: watchRole,
  member: watchMember,
  user: watchUser,
  autoModerationRule: watchAutoModerationRule,
  voiceState: watchVoiceState,
};

/** The functions that watch something, of one handle: `watch.guild(id)` is `watchGuild(handle, id)`. */
export type Watch = { readonly [N in keyof typeof functions]: (typeof functions)[N] extends (handle: GatewayHandle, ...rest: infer A) => infer R ? (...rest: A) => R : never };

/** Returns what `handle.watch` is. */
export function watchOf(handle: GatewayHandle): Watch {
  return Object.fromEntries(Object.entries(functions).map(([name, watch]) => [name, (watch as (...all: unknown[]) => unknown).bind(null, handle)])) as Watch;
}

// ------------------------------------------------------------- the table's words

type Path = readonly string[];

/** @internal A kind of object. spec/README.md explains the words of the table. */
export interface Kind {
  readonly id: readonly Path[];
  readonly local?: boolean;
  readonly inline?: string;
  readonly omit?: readonly string[];
  readonly types?: readonly number[];
  readonly notTypes?: readonly number[];
  readonly part?: keyof GuildParts;
  readonly complete?: boolean;
  readonly limit?: number;
  readonly inGuild?: boolean;
  readonly then?: readonly Rule[];
  readonly events?: readonly string[];
}

/** @internal Something that an event does. */
export interface Rule {
  readonly verb: "put" | "reset" | "update" | "delete" | "list" | "set" | "add" | "remove" | "count" | "stale" | "sweep";
  readonly kinds?: readonly KindName[];
  readonly field?: string;
  readonly omit?: readonly string[];
  readonly at?: Path;
  readonly from?: Path;
  readonly id?: readonly Path[];
  readonly in?: Path;
  readonly everywhere?: boolean;
  readonly when?: string;
  readonly unless?: readonly string[];
  readonly by?: string;
  readonly within?: string;
  readonly step?: number;
}

/** An object of a payload. Its keys are the server's: it is only ever copied by spreading, which takes "__proto__" for any other key. */
type Obj = { readonly [key: string]: unknown };

const GUILD = kinds.guild;

const isObject = (v: unknown): v is Obj => typeof v === "object" && v !== null && !Array.isArray(v);
const list = (v: unknown): readonly unknown[] => (Array.isArray(v) ? v : []);
const get = (v: unknown, key: string): unknown => (isObject(v) ? v[key] : undefined);
const yes = (v: unknown): boolean => v !== undefined && v !== null && v !== false;

/** The id that a value is, or "". */
function idOf(v: unknown): Snowflake {
  if (typeof v === "number" && Number.isSafeInteger(v)) v = String(v);
  return typeof v === "string" && /^[1-9]\d{0,19}$/.test(v) ? v : "";
}

/** The value that a path without "[]" leads to; "[i]" is the element of that number. */
function follow(v: unknown, path: Path = [], index = -1): unknown {
  for (const step of path) v = step === "[i]" ? list(v)[index] : get(v, step);
  return v;
}

/** Calls visit with every value that a path leads to. */
function walk(v: unknown, path: Path, visit: (v: unknown, index: number) => void, index = -1, from = 0): void {
  for (let i = from; i < path.length; i++) {
    const step = path[i]!;
    if (step[0] === "[") return list(v).forEach((e, j) => walk(e, path, visit, step === "[i]" ? j : index, i + 1));
    v = get(v, step);
  }
  if (v !== undefined) visit(v, index);
}

/** The id that the first of some paths leads to. What is no object is the id itself. */
function firstId(v: unknown, paths: readonly Path[]): Snowflake {
  if (!isObject(v)) return idOf(v);
  for (const path of paths) {
    const id = idOf(follow(v, path));
    if (id) return id;
  }
  return "";
}

function without<T>(v: T, keys: readonly string[] | undefined): T {
  if (!keys || !isObject(v) || !keys.some((key) => Object.hasOwn(v, key))) return v;
  return Object.fromEntries(Object.entries(v).filter(([key]) => !keys.includes(key))) as T;
}

/** Whether an object that is not known yet is of a kind, by its type. One without a type is of the kind that a rule names first. */
function fits(kind: Kind, v: unknown, first: boolean): boolean {
  const type = get(v, "type");
  if (!kind.types && !kind.notTypes) return true;
  if (typeof type !== "number") return first;
  return kind.types?.includes(type) ?? !kind.notTypes!.includes(type);
}

/** Lays an object over another, or makes one: a key that is there replaces, null included, one that is not leaves what was. */
function merge(kind: Kind, old: Obj | null, v: unknown): Obj | null {
  if (!isObject(v)) return old;
  const inline = kind.inline && v[kind.inline];
  return { ...old, ...without(v, kind.omit), ...(isObject(inline) && without(inline, kind.omit)) };
}

/**
 * Returns old if v is equal to it, and otherwise v with everything in it that is
 * equal to what old has there in its place. Neither is changed.
 */
function share<T>(old: T, v: T, depth?: number): T;
function share(old: unknown, v: unknown, depth = 0): unknown {
  if (old === v || typeof old !== "object" || typeof v !== "object" || !old || !v || Array.isArray(old) !== Array.isArray(v)) return v;
  if (depth > 50) return v; // of a server that means no good
  const was = old as Obj;
  const keys = Object.keys(v);
  let equal = keys.length === Object.keys(was).length;
  let shared = false;
  const values = keys.map((key) => {
    const value = (v as Obj)[key];
    const there = Object.hasOwn(was, key);
    const kept = there ? share(was[key], value, depth + 1) : value;
    if (!there || kept !== was[key]) equal = false;
    if (kept !== value) shared = true;
    return kept;
  });
  if (equal) return old;
  if (!shared) return v;
  return Array.isArray(v) ? values : Object.fromEntries(keys.map((key, i) => [key, values[i]]));
}

// --------------------------------------------------------- collections of a guild

/** A persistent balanced tree, by id. A change copies the way to one node, however many there are. */
interface Node<V> {
  readonly id: Snowflake;
  readonly value: V;
  readonly left: Tree<V>;
  readonly right: Tree<V>;
  readonly size: number;
}
type Tree<V> = Node<V> | null;

/** Compares ids as the numbers they are. */
const compare = (a: Snowflake, b: Snowflake) => a.length - b.length || (a < b ? -1 : +(a > b));

const sizeOf = (t: Tree<unknown>) => (t ? t.size : 0);

const node = <V>(of: { id: Snowflake; value: V }, left: Tree<V>, right: Tree<V>): Node<V> => ({ id: of.id, value: of.value, left, right, size: sizeOf(left) + sizeOf(right) + 1 });

/** A node whose sides may have come to differ by one: neither is to be more than three times the other. */
function balanced<V>(of: Node<V>, left: Tree<V>, right: Tree<V>): Node<V> {
  const [l, r] = [sizeOf(left), sizeOf(right)];
  if (l + r > 1) {
    if (r > 3 * l) {
      const { left: near, right: far } = right!;
      return sizeOf(near) < 2 * sizeOf(far) ? node(right!, node(of, left, near), far) : node(near!, node(of, left, near!.left), node(right!, near!.right, far));
    }
    if (l > 3 * r) {
      const { left: far, right: near } = left!;
      return sizeOf(near) < 2 * sizeOf(far) ? node(left!, far, node(of, near, right)) : node(near!, node(left!, far, near!.left), node(of, near!.right, right));
    }
  }
  return node(of, left, right);
}

function put<V>(t: Tree<V>, id: Snowflake, value: V): Node<V> {
  if (!t) return node({ id, value }, null, null);
  const c = compare(id, t.id);
  if (c === 0) return node({ id, value }, t.left, t.right);
  return c < 0 ? balanced(t, put(t.left, id, value), t.right) : balanced(t, t.left, put(t.right, id, value));
}

function remove<V>(t: Tree<V>, id: Snowflake): Tree<V> {
  if (!t) return t;
  const c = compare(id, t.id);
  if (c < 0) return balanced(t, remove(t.left, id), t.right);
  if (c > 0) return balanced(t, t.left, remove(t.right, id));
  if (!t.left || !t.right) return t.left ?? t.right;
  let next = t.right;
  while (next.left) next = next.left;
  return balanced(next, t.left, remove(t.right, next.id));
}

/** The tree of a list that is sorted. */
function build<V>(sorted: readonly (readonly [Snowflake, V])[], from = 0, to = sorted.length): Tree<V> {
  if (from >= to) return null;
  const middle = (from + to) >> 1;
  const [id, value] = sorted[middle]!;
  return node({ id, value }, build(sorted, from, middle), build(sorted, middle + 1, to));
}

/** A map that never changes, in the order of the ids, which is that of their creation. */
class IdMap<V> implements ReadonlyMap<Snowflake, V> {
  readonly root: Tree<V>;

  constructor(root: Tree<V>) {
    this.root = root;
  }

  get size(): number {
    return sizeOf(this.root);
  }

  get(id: Snowflake): V | undefined {
    let t = this.root;
    while (t) {
      const c = compare(id, t.id);
      if (c === 0) return t.value;
      t = c < 0 ? t.left : t.right;
    }
    return undefined;
  }

  has(id: Snowflake): boolean {
    return this.get(id) !== undefined;
  }

  *entries(): MapIterator<[Snowflake, V]> {
    const way: Node<V>[] = [];
    for (let t = this.root; t || way.length > 0; t = t.right) {
      for (; t; t = t.left) way.push(t);
      t = way.pop()!;
      yield [t.id, t.value];
    }
  }

  *keys(): MapIterator<Snowflake> {
    for (const [id] of this) yield id;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): MapIterator<[Snowflake, V]> {
    return this.entries();
  }

  forEach(fn: (value: V, id: Snowflake, map: ReadonlyMap<Snowflake, V>) => void, thisArg?: unknown): void {
    for (const [id, value] of this) fn.call(thisArg, value, id, this);
  }
}

/** What a watched guild has of one kind: as it was before the event that is being played, and what that has changed so far. */
class Part {
  now = new IdMap<Obj>(null);
  edits = new Map<Snowflake, Obj | null>();
  size = 0; // with the edits
  max = 0;
  full = false;

  get(id: Snowflake): Obj | null {
    const edit = this.edits.get(id);
    return edit === undefined ? (this.now.get(id) ?? null) : edit;
  }

  set(id: Snowflake, v: Obj | null): void {
    this.size += +!!v - +!!this.get(id);
    this.edits.set(id, v);
  }

  /** What there is, with the edits. */
  all(): [Snowflake, Obj][] {
    return [...new Map<Snowflake, Obj | null>([...this.now, ...this.edits])].filter((e): e is [Snowflake, Obj] => e[1] !== null);
  }

  /** Takes in the edits, and reports whether they have changed anything. */
  settle(same: (old: Obj, v: Obj) => Obj): boolean {
    const { now, edits } = this;
    if (edits.size === 0) return false;
    this.edits = new Map();
    for (const [id, v] of edits) {
      const old = now.get(id);
      const kept = v && old ? same(old, v) : v;
      if (kept === (old ?? null)) edits.delete(id);
      else edits.set(id, kept);
    }
    if (edits.size === 0) return false;
    let { root } = now;
    if (edits.size > now.size / 4) {
      this.edits = edits;
      root = build(this.all().sort(([a], [b]) => compare(a, b)));
      this.edits = new Map();
    } else for (const [id, v] of edits) root = v ? put(root, id, v) : remove(root, id);
    this.now = new IdMap(root);
    return true;
  }
}

// ------------------------------------------------------------- what is watched

interface Watcher {
  calls: readonly { readonly fn: () => void }[]; // replaced, not changed
  readonly onLimit: WatchGuildOptions["onLimit"];
}

/** An object that is watched by itself: a guild with what it contains, or something else. */
class Root {
  readonly kind: Kind;
  readonly id: Snowflake;
  guild: Snowflake; // that it belongs to, "" if none is known
  readonly parts = new Map<Kind, Part>(); // of a guild
  readonly watchers = new Set<Watcher>();
  // As the event that is being played has left it so far:
  value: Obj | null = null; // a guild's own fields
  stale = false;
  deleted = false;
  #was: Pick<Root, "value" | "stale" | "deleted"> = { value: null, stale: false, deleted: false };
  #snapshot: Obj | null = null;

  constructor(kind: Kind, id: Snowflake, guild: Snowflake) {
    this.kind = kind;
    this.id = id;
    this.guild = guild;
    if (kind === GUILD) for (const [, name] of parts) this.parts.set(kinds[name], new Part());
  }

  /** Makes what the event has left the present version, and reports whether that is another. */
  publish(same: (old: Obj, v: Obj) => Obj): boolean {
    const was = this.#was;
    if (this.value && was.value) this.value = same(was.value, this.value);
    let changed = this.value !== was.value;
    for (const part of this.parts.values()) changed = part.settle(same) || changed;
    if (changed) this.#snapshot = null;
    this.#was = { value: this.value, stale: this.stale, deleted: this.deleted };
    return changed || this.stale !== was.stale || this.deleted !== was.deleted;
  }

  /** The present version. It is made when it is asked for: most events are not looked at one by one. */
  get snapshot(): Obj | null {
    if (this.#snapshot || !this.value || this.kind !== GUILD) return this.#snapshot ?? this.value;
    const made: Record<string, unknown> = { ...this.value };
    for (const [kind, part] of this.parts) made[kind.part!] = part.now;
    return (this.#snapshot = made);
  }

  get state(): Pick<Root, "value" | "stale" | "deleted"> {
    return this.#was;
  }
}

type Edit = (old: Obj | null) => Obj | null;

/** What is watched through one handle. While nothing is, it observes nothing. */
class Store {
  readonly #handle: GatewayHandle | null;
  readonly #roots = new Map<Kind, Map<Snowflake, Root[]>>(Object.values(kinds).map((kind) => [kind, new Map()])); // several of one id if it is local
  readonly #uses = new Map<string, { kinds: number; stop: Unsubscribe }>();
  #lifecycle: Unsubscribe[] = [];
  readonly #mentioned = new Set<Snowflake>(); // guilds, since everything became stale
  // Of the event that is being played:
  #changed = new Set<Root>();
  #reports: (() => void)[] = [];
  #event: readonly [name: string, payload: unknown] = ["", null];
  #counts = false;
  // The last event that added to a number: servers that send events more than once send them in a row.
  #counted: readonly [name: string, payload: unknown] = ["", null];

  constructor(handle: GatewayHandle | null) {
    this.#handle = handle;
  }

  /** Begins to watch something. */
  watch(watcher: Watcher, kind: Kind, id: Snowflake, guild: Snowflake, seed: unknown, limits: { readonly [part: string]: number }): Root {
    let root = this.#find(kind, id).find((r) => !kind.local || r.guild === guild);
    if (!root) {
      root = new Root(kind, id, guild);
      this.#contained(root);
      this.add(root);
    }
    root.watchers.add(watcher);
    for (const [k, part] of root.parts) part.max = Math.max(part.max, limits[k.part!] ?? GUILD.limit!);
    if (isObject(seed) && !root.value && !root.deleted) {
      // As the event would that brings it, but to nobody else, who may know better.
      const apart = new Store(null);
      apart.add(root);
      if (kind === GUILD) apart.#run(rules.GUILD_CREATE!, seed);
      else apart.#alter(kind, id, guild, false, true, (old) => merge(kind, null, seed) ?? old);
      for (const r of apart.#changed) this.#changed.add(r);
      this.#reports.push(...apart.#reports);
    }
    this.#publish();
    return root;
  }

  /** Gives up an object, and observes no more what concerned it alone. */
  release(root: Root, watcher: Watcher): void {
    if (!root.watchers.delete(watcher) || root.watchers.size > 0) return;
    const roots = this.#roots.get(root.kind)!;
    const left = this.#find(root.kind, root.id).filter((r) => r !== root);
    if (left.length > 0) roots.set(root.id, left);
    else roots.delete(root.id);
    if (roots.size > 0) return;
    for (const name of root.kind.events!) {
      const use = this.#uses.get(name);
      if (use && --use.kinds === 0) {
        use.stop();
        this.#uses.delete(name);
      }
    }
    if (this.#uses.size === 0) for (const stop of this.#lifecycle.splice(0)) stop();
  }

  /** Takes up an object, and observes what concerns it. */
  add(root: Root): void {
    const roots = this.#roots.get(root.kind)!;
    const first = roots.size === 0;
    roots.set(root.id, [...this.#find(root.kind, root.id), root]);
    const handle = this.#handle;
    if (!first || !handle) return;
    if (this.#uses.size === 0) {
      const stale = () => {
        this.#allStale();
        this.#publish();
      };
      const closed = () => {
        // What was observed has ended. Who watches through the handle from now on begins anew.
        if (stores.get(handle) === this) stores.delete(handle);
        this.#uses.clear();
        stale();
      };
      this.#lifecycle = [handle.observeGaps(stale), handle.observeState(({ state }) => state === "closed" && stale()), handle.onClose(closed)];
    }
    for (const name of root.kind.events!) {
      const use = this.#uses.get(name);
      if (use) use.kinds++;
      else this.#uses.set(name, { kinds: 1, stop: handle.observe(name, (data: unknown) => this.#play(name, data)) });
    }
  }

  #play(name: string, payload: unknown): void {
    this.#event = [name, payload];
    this.#counts = false;
    try {
      this.#run(rules[name]!, payload);
    } finally {
      if (this.#counts) this.#counted = this.#event;
      this.#publish();
    }
  }

  /** Makes what has changed the present version, and then tells of it. */
  #publish(): void {
    const [changed, reports] = [this.#changed, this.#reports];
    this.#changed = new Set();
    this.#reports = [];
    // What was one version in several places becomes one in all of them.
    const settled = new Map<Obj, readonly [v: Obj, kept: Obj]>();
    const same = (old: Obj, v: Obj): Obj => {
      const known = settled.get(old);
      if (known?.[0] === v) return known[1];
      const kept = share(old, v);
      settled.set(old, [v, kept]);
      return kept;
    };
    const calls = reports.map((fn) => ({ fn, watcher: null as Watcher | null }));
    for (const root of changed) {
      if (root.publish(same)) for (const watcher of root.watchers) for (const call of watcher.calls) calls.push({ ...call, watcher });
    }
    let failed: { readonly thrown: unknown } | undefined;
    for (const { fn, watcher } of calls) {
      if (watcher && !watcher.calls.some((call) => call.fn === fn)) continue;
      try {
        fn();
      } catch (thrown) {
        failed ??= { thrown };
      }
    }
    if (failed) throw failed.thrown; // the handle reports it, as it does for any observer
  }

  #find(kind: Kind, id: Snowflake): readonly Root[] {
    return this.#roots.get(kind)!.get(id) ?? [];
  }

  *#all(kind: Kind): Iterable<Root> {
    for (const roots of this.#roots.get(kind)!.values()) yield* roots;
  }

  /** Begins with what a watched guild has of an object. */
  #contained(root: Root): void {
    const { kind, id } = root;
    for (const guild of kind.part ? this.#all(GUILD) : []) {
      const v = guild.value && (!kind.local || guild.id === root.guild) ? guild.parts.get(kind)!.get(id) : null;
      if (!v) continue;
      [root.value, root.stale, root.guild] = [v, guild.stale, guild.id];
      this.#changed.add(root);
    }
  }

  #allStale(): void {
    this.#mentioned.clear();
    for (const kind of this.#roots.keys()) for (const root of this.#all(kind)) this.#stale(root);
  }

  #stale(root: Root): void {
    if (!root.value) return;
    root.stale = true;
    this.#changed.add(root);
  }

  /** Gives an object its next version, or deletes it. What the event says is true now, if fresh is set. */
  #change(root: Root, value: Obj | null, fresh: boolean): void {
    if (!value && !root.value) return;
    this.#changed.add(root);
    root.value = value;
    root.deleted = !value;
    root.stale &&= !!value && !fresh;
    if (!value) for (const kind of root.parts.keys()) root.parts.set(kind, Object.assign(new Part(), { max: root.parts.get(kind)!.max }));
  }

  #run(list: readonly Rule[], payload: unknown): void {
    for (const rule of list) {
      const about = rule.kinds;
      if (!about) this.#allStale(); // the one verb that can do without
      else if (about.some((name) => this.#concerns(rule, kinds[name]))) {
        walk(payload, rule.at ?? [], (v, index) => {
          if ((rule.when && !yes(get(v, rule.when))) || rule.unless?.some((key) => yes(get(v, key)))) return;
          const guild = idOf(follow(payload, rule.in ?? ["guild_id"], index));
          about.forEach((name, n) => this.#apply(rule, kinds[name], n === 0, payload, v, guild));
        });
      }
    }
  }

  #concerns(rule: Rule, kind: Kind): boolean {
    const watched = (k: Kind) => this.#roots.get(k)!.size > 0;
    return watched(kind) || (!!kind.part && watched(GUILD)) || (kind === GUILD && !rule.field); // with a guild goes what it contains
  }

  /** Does what a rule says of one object as one kind. */
  #apply(rule: Rule, kind: Kind, first: boolean, payload: unknown, v: unknown, guild: Snowflake): void {
    const { verb, field } = rule;
    if (kind === GUILD && !field) return this.#applyGuild(verb, v);
    const id = firstId(v, rule.id ?? kind.id);
    const alter = (edit: Edit, fresh: boolean) => this.#alter(kind, id, guild, !!rule.everywhere && !guild, fresh, edit);
    const known = (edit: (old: Obj) => Obj) => alter((old) => old && edit(old), false);
    const value = without(follow(v, rule.from), rule.omit);
    const by = idOf(get(value, rule.by!));
    switch (verb) {
      case "put":
        return alter((old) => (old || fits(kind, v, first) ? merge(kind, old, v) : null), true);
      case "reset":
        return alter((old) => (fits(kind, v, first) ? (merge(kind, null, v) ?? old) : old), true);
      case "update":
        return known((old) => merge(kind, old, v)!);
      case "set":
        if (value === undefined) return;
        return known((old) => ({ ...old, [field!]: isObject(value) && isObject(old[field!]) ? { ...(old[field!] as Obj), ...value } : value }));
      case "add":
      case "remove":
        if (!by) return;
        return known((old) => {
          const elements = list(old[field!]);
          const next = verb === "add" ? [value] : [];
          let found = false;
          const kept = elements.flatMap((e) => {
            if (idOf(get(e, rule.by!)) !== by) return [e];
            found = true;
            return next;
          });
          return found || verb === "add" ? { ...old, [field!]: found ? kept : [...kept, value] } : old;
        });
      case "count":
        this.#counts = true;
        if (this.#counted[0] === this.#event[0] && share(this.#counted[1], this.#event[1]) === this.#counted[1]) return;
        return known((old) => (Number.isInteger(old[field!]) ? { ...old, [field!]: (old[field!] as number) + rule.step! } : old));
      case "delete":
        if (!rule.by) return alter(() => null, false);
        return this.#deleteBy(kind, rule.by, id, guild);
      case "list": {
        const among = rule.within ? get(payload, rule.within) : undefined;
        if (among === undefined) return this.#list(kind, v, guild, () => true, kind.complete);
        const owners = new Set(list(among).map(idOf));
        return this.#list(kind, v, guild, (old) => owners.has(idOf(old[rule.by!])), false);
      }
      case "sweep":
        for (const root of this.#all(kind)) if (!root.guild && root.stale) this.#change(root, null, false);
    }
  }

  /** Edits an object wherever it is watched: by itself, and in guilds. */
  #alter(kind: Kind, id: Snowflake, guild: Snowflake, everywhere: boolean, fresh: boolean, edit: Edit): void {
    if (!id) return;
    // Once for all places that have the same version, so that they go on having the same.
    let was: Obj | null | undefined;
    let is: Obj | null = null;
    const next: Edit = (old) => {
      if (old !== was) [was, is] = [old, edit(old)];
      return is;
    };
    for (const root of this.#find(kind, id)) {
      if (kind.local && root.guild !== guild && !everywhere) continue;
      if (!kind.local && kind.inGuild && guild && kind !== GUILD) root.guild = guild;
      this.#change(root, next(root.value), fresh);
    }
    if (!kind.part) return;
    for (const g of everywhere ? this.#all(GUILD) : this.#find(GUILD, guild)) {
      const part = g.parts.get(kind)!;
      const old = part.get(id);
      const v = g.value ? next(old) : old;
      if (v === old || (!old && !this.#room(g, kind, part))) continue;
      part.set(id, v);
      this.#changed.add(g);
    }
  }

  /** Whether one more fits into a part of a guild. */
  #room(guild: Root, kind: Kind, part: Part): boolean {
    if (part.size < part.max) return true;
    if (!part.full && part.max > 0) {
      part.full = true;
      const limit: Limited = { guild: guild.id, part: kind.part!, max: part.max };
      for (const { onLimit } of guild.watchers) if (onLimit) this.#reports.push(() => onLimit(limit));
    }
    return false;
  }

  /** Deletes the objects that have an id in a field. */
  #deleteBy(kind: Kind, field: string, id: Snowflake, guild: Snowflake): void {
    const known = [...this.#find(GUILD, guild)].flatMap((g) => g.parts.get(kind)!.all());
    for (const root of this.#all(kind)) if (root.value) known.push([root.id, root.value]);
    for (const [gone, v] of known) if (id && idOf(v[field]) === id) this.#alter(kind, gone, guild, false, false, () => null);
  }

  /**
   * Makes an array all that there is in a part of a guild, of what covers says that
   * it could be in the array. If it is complete, an object that is watched by itself
   * and is not in it is gone; otherwise nothing is known of that.
   */
  #list(kind: Kind, array: unknown, guild: Snowflake, covers: (old: Obj) => boolean, complete: boolean | undefined): void {
    const g = this.#find(GUILD, guild).find((r) => r.value);
    const part = g?.parts.get(kind);
    if (part) {
      for (const [id, old] of part.all()) if (covers(old)) part.set(id, null);
      this.#changed.add(g!);
    }
    const listed = new Set<Snowflake>();
    for (const v of list(array)) {
      const id = firstId(v, kind.id);
      const made = id && fits(kind, v, true) ? merge(kind, null, v) : null;
      if (!made) continue;
      for (const root of this.#find(kind, id)) {
        if (kind.local && root.guild !== guild) continue;
        root.guild = guild;
        listed.add(id);
        this.#change(root, made, true);
      }
      if (part && (part.get(id) || this.#room(g!, kind, part))) part.set(id, made);
    }
    if (!complete || !Array.isArray(array)) return;
    for (const root of this.#all(kind)) if (root.guild === guild && !listed.has(root.id)) this.#change(root, null, false);
  }

  /** Does what a rule says of a guild and all that it contains. */
  #applyGuild(verb: Rule["verb"], v: unknown): void {
    const id = firstId(v, GUILD.id);
    if (verb === "delete" || verb === "stale" || verb === "sweep") {
      for (const kind of this.#roots.keys()) {
        for (const root of this.#all(kind)) {
          const guild = kind === GUILD ? root.id : root.guild;
          if (!guild || (verb === "sweep" ? this.#mentioned.has(guild) : guild !== id)) continue;
          if (verb === "stale") this.#stale(root);
          else this.#change(root, null, false);
        }
      }
      return;
    }
    if (!id) return;
    const whole = verb === "reset";
    this.#mentioned.add(id);
    for (const root of this.#find(GUILD, id)) {
      if (verb === "update" && !root.value) continue;
      if (whole) for (const part of root.parts.values()) part.full = false;
      this.#change(root, merge(GUILD, whole ? null : root.value, v), verb !== "update");
    }
    for (const [name, kind] of parts) {
      const array = get(v, name);
      if (whole || Array.isArray(array)) this.#list(kinds[kind], array, id, () => true, kinds[kind].complete);
    }
    if (verb !== "update") this.#run(GUILD.then!, v);
  }
}

const stores = new WeakMap<GatewayHandle, Store>();

/** Watches something, given itself or by its id. */
function start<T>(handle: GatewayHandle, name: KindName, guild: Snowflake | null, object: unknown, options: WatchGuildOptions = {}): Watched<T> {
  const kind = kinds[name];
  const where = `watching a ${name}`;
  check(options, ["limits", "onLimit"], where);
  const limits = options.limits ?? {};
  check(limits, parts.map(([part]) => part), `limits of ${where}`);
  for (const [part, max] of Object.entries(limits)) {
    if (!(max >= 0)) throw fail("invalid_option", `limits.${part} is how many there may be, not ${describe(max)}`);
  }
  const id = firstId(object, kind.id);
  const within = idOf(guild ?? get(object, "guild_id"));
  if (!id || (guild !== null && !within)) throw fail("invalid_option", `${where} takes its id or the ${name}${guild === null ? "" : ", after the id of its guild"}`);

  let store = stores.get(handle)!;
  if (!store) stores.set(handle, (store = new Store(handle)));
  const watcher: Watcher = { calls: [], onLimit: options.onLimit };
  const root = store.watch(watcher, kind, id, within, object, limits);
  const getSnapshot = () => root.snapshot as T | null;
  return {
    get current() {
      return getSnapshot();
    },
    get stale() {
      return root.state.stale;
    },
    get deleted() {
      return root.state.deleted;
    },
    getSnapshot,
    subscribe(fn) {
      const call = { fn: () => fn() }; // twice the same fn is two subscriptions
      if (root.watchers.has(watcher)) watcher.calls = [...watcher.calls, call];
      return () => {
        watcher.calls = watcher.calls.filter((c) => c !== call);
      };
    },
    release() {
      watcher.calls = [];
      store.release(root, watcher);
    },
  };
}
