// The demo page: a live session, made visible. It uses nothing but the public
// API of the package.

import * as gateway from "spacebar-gateway";
import type { GatewayHandle, StateChange } from "spacebar-gateway";

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const KEEP = 500; // events in the list

interface Row {
  name: string;
  seq: number | null;
  size: number;
  data: unknown;
  text: string;
}

let handle: GatewayHandle | undefined;
let rows: Row[] = []; // newest first
let fresh: Row[] = []; // not drawn yet
let chosen: Row | undefined;
let only: string | undefined;
let paused = false;
let total = 0;
let bytes = 0;
let lastSeq: number | null = null;
const perSecond: number[] = new Array<number>(120).fill(0);
const names = new Map<string, number>();

// The server of the demo tells what to connect to; elsewhere the form is empty.
interface Embedded {
  url: string;
  token: string;
  control: string;
  guild: string;
  channel: string;
  voice: string;
}
let embedded: Embedded | undefined;

function say(text: string, kind = ""): void {
  const li = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const span = document.createElement("span");
  span.textContent = text;
  span.className = kind;
  li.append(time, span);
  $("log").prepend(li);
  while ($("log").childElementCount > 60) $("log").lastElementChild!.remove();
}

function showState(change: StateChange): void {
  $("status").dataset["state"] = change.state;
  $("state").textContent = change.state.replace("_", " ");
  const why = change.state === "backoff" && change.retryAt ? `again in ${Math.max(0, (change.retryAt - Date.now()) / 1000).toFixed(1)} s` : change.resumed ? "session resumed" : "";
  $("why").textContent = why;
  $("status").title = change.error?.message ?? "";
  const up = change.state !== "closed";
  $<HTMLButtonElement>("open").disabled = up;
  $<HTMLButtonElement>("close").disabled = !up;
  for (const b of document.querySelectorAll<HTMLButtonElement>("#sends button, #sendop")) b.disabled = change.state !== "ready";
  if (change.state === "ready") say(change.resumed ? "Ready: the session was resumed, nothing is missing" : "Ready: a new session", "good");
  if (change.state === "backoff") say(`Connection lost: ${change.error?.message ?? ""}`, "warn");
  if (change.state === "closed") say(change.error ? `Closed: ${change.error.message}` : "Closed", change.error ? "bad" : "");
}

async function connect(): Promise<void> {
  const url = $<HTMLInputElement>("url").value;
  const token = $<HTMLInputElement>("token").value;
  $<HTMLButtonElement>("open").disabled = true;
  try {
    handle = await gateway.connect(url, {
      token,
      compress: $<HTMLSelectElement>("compress").value as "auto",
      encoding: $<HTMLSelectElement>("encoding").value as "json",
      maxMessageSize: 4096,
      setup(h) {
        handle = h;
        h.observe("*", (data, event) => {
          fresh.push({ name: event.type, seq: event.seq, size: event.size, data, text: "" });
          total++;
          bytes += event.size;
          lastSeq = event.seq ?? lastSeq;
          perSecond[perSecond.length - 1]!++;
        });
        h.observeState(showState);
        h.observeErrors((e) => e.code !== "connection_closed" && e.code !== "reconnect" && say(`${e.code}: ${e.message}`, e.fatal ? "bad" : "warn"));
        h.observeGaps((g) => say(`Gap: ${((g.reconnectedAt - g.disconnectedAt) / 1000).toFixed(1)} s of events are missing after #${g.lastSeq}; the session was lost`, "bad"));
      },
    });
  } catch (e) {
    say(e instanceof Error ? e.message : String(e), "bad");
    $<HTMLButtonElement>("open").disabled = false;
  }
  $("host").textContent = gateway.hostKind() ?? "–";
}

// One drawing per frame, however many events came.
function draw(): void {
  requestAnimationFrame(draw);
  $("total").textContent = total.toLocaleString();
  $("bytes").textContent = bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  $("seq").textContent = lastSeq === null ? "–" : String(lastSeq);
  $("latency").textContent = handle && handle.latency > 0 ? `${handle.latency < 10 ? handle.latency.toFixed(1) : Math.round(handle.latency)} ms` : "–";
  if (paused || fresh.length === 0) return;
  const list = fresh.splice(0, fresh.length);
  let newName = false;
  for (const row of list) {
    newName ||= !names.has(row.name);
    names.set(row.name, (names.get(row.name) ?? 0) + 1);
  }
  rows.unshift(...list.reverse());
  rows.length = Math.min(rows.length, KEEP);
  if (newName) drawNames();
  const shown = list.filter(matches).slice(0, KEEP).map(item);
  const events = $("events");
  events.prepend(...shown);
  while (events.childElementCount > KEEP) events.lastElementChild!.remove();
}

function matches(row: Row): boolean {
  if (only && row.name !== only) return false;
  const want = $<HTMLInputElement>("filter").value.trim().toLowerCase();
  if (!want) return true;
  if (row.name.toLowerCase().includes(want)) return true;
  row.text ||= JSON.stringify(row.data)?.toLowerCase() ?? "";
  return row.text.includes(want);
}

function hue(name: string): number {
  let h = 0;
  for (const c of name.split("_")[0]!) h = (h * 31 + c.charCodeAt(0)) % 360;
  return h;
}

/** A few words about a payload. */
function gist(data: unknown): string {
  const d = (data ?? {}) as Record<string, unknown>;
  const author = (d["author"] ?? d["user"] ?? (d["member"] as Record<string, unknown> | undefined)?.["user"]) as { username?: string } | undefined;
  return [author?.username, d["content"] ?? d["name"] ?? d["status"]].filter((x) => typeof x === "string" && x !== "").join(": ");
}

function item(row: Row): HTMLLIElement {
  const li = document.createElement("li");
  const dot = document.createElement("i");
  dot.style.setProperty("--hue", String(hue(row.name)));
  const name = document.createElement("b");
  name.textContent = row.name;
  const about = document.createElement("span");
  about.textContent = gist(row.data);
  name.append(about);
  const seq = document.createElement("span");
  seq.className = "n";
  seq.textContent = row.seq === null ? "" : `#${row.seq}`;
  const size = document.createElement("span");
  size.className = "n";
  size.textContent = row.size < 1000 ? `${row.size} B` : `${(row.size / 1000).toFixed(1)} kB`;
  li.append(dot, name, seq, size);
  li.onclick = () => {
    for (const other of document.querySelectorAll("[aria-selected]")) other.removeAttribute("aria-selected");
    li.setAttribute("aria-selected", "true");
    choose(row);
  };
  return li;
}

function choose(row: Row): void {
  chosen = row;
  $("detail").classList.add("open");
  $("dname").textContent = row.name;
  $("dmeta").textContent = `${row.seq === null ? "no sequence number" : `sequence ${row.seq}`} · ${row.size.toLocaleString()} characters`;
  $("dpayload").replaceChildren(...highlight(JSON.stringify(chosen.data, null, 2) ?? "null"));
}

/** Colours JSON text, without making HTML of what a server sent. */
function highlight(text: string): Node[] {
  const nodes: Node[] = [];
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  let at = 0;
  for (const m of text.slice(0, 200_000).matchAll(token)) {
    if (m.index > at) nodes.push(document.createTextNode(text.slice(at, m.index)));
    const span = document.createElement("span");
    span.className = m[1] ? (m[2] ? "k" : "s") : /[tfn]/.test(m[0][0]!) ? "l" : "n";
    span.textContent = m[1] ?? m[0];
    nodes.push(span);
    if (m[2]) nodes.push(document.createTextNode(m[2]));
    at = m.index + m[0].length;
  }
  nodes.push(document.createTextNode(text.slice(at, 200_000)));
  return nodes;
}

function drawNames(): void {
  const chips = [...names.keys()].sort().map((name) => {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = name;
    b.setAttribute("aria-pressed", String(name === only));
    b.onclick = () => {
      only = only === name ? undefined : name;
      drawNames();
      redraw();
    };
    return b;
  });
  $("names").replaceChildren(...chips);
}

function redraw(): void {
  $("events").replaceChildren(...rows.filter(matches).map(item));
}

function drawSpark(): void {
  const canvas = $<HTMLCanvasElement>("spark");
  const c = canvas.getContext("2d")!;
  const top = Math.max(5, ...perSecond);
  c.clearRect(0, 0, canvas.width, canvas.height);
  c.fillStyle = "#7c8aff";
  perSecond.forEach((n, i) => {
    const h = Math.max(n > 0 ? 2 : 0, (n / top) * (canvas.height - 2));
    c.fillRect(i * 2, canvas.height - h, 1.6, h);
  });
  $("rate").textContent = String(perSecond.at(-1));
  perSecond.shift();
  perSecond.push(0);
}

const guild = () => embedded?.guild ?? "0";
const sends: Record<string, (h: GatewayHandle) => Promise<unknown>> = {
  "Presence: dnd": (h) => h.sendUpdatePresence({ status: "dnd", since: null, activities: [], afk: false }),
  "Presence: online": (h) => h.sendUpdatePresence({ status: "online", since: null, activities: [], afk: false }),
  "Request members": (h) => h.requestGuildMembers({ guild_id: guild(), query: "", limit: 0 }).then((m) => `${m.members.length} members came`),
  "Lazy request": (h) => h.sendLazyRequest({ guild_id: guild(), channels: { [embedded?.channel ?? "0"]: [[0, 99]] } }),
  "Join voice": (h) => h.sendUpdateVoiceState({ guild_id: guild(), channel_id: embedded?.voice ?? null, self_mute: true, self_deaf: false }),
  "Leave voice": (h) => h.sendUpdateVoiceState({ guild_id: null, channel_id: null, self_mute: false, self_deaf: false }),
  "Last messages": (h) => h.requestLastMessages({ guild_id: guild(), channel_ids: [embedded?.channel ?? "0"] }).then((m) => `${m.messages.length} messages came`),
};

async function run(name: string, what: () => Promise<unknown>): Promise<void> {
  try {
    const result = await what();
    say(typeof result === "string" ? `${name}: ${result}` : `${name}: sent`);
  } catch (e) {
    say(`${name}: ${e instanceof Error ? e.message : String(e)}`, "bad");
  }
}

for (const [name, what] of Object.entries(sends)) {
  const b = document.createElement("button");
  b.type = "button";
  b.textContent = name;
  b.disabled = true;
  b.onclick = () => void run(name, () => what(handle!));
  $("sends").append(b);
}
$("sendop").onclick = () => void run("Send", () => handle!.send($<HTMLInputElement>("op").valueAsNumber, JSON.parse($<HTMLTextAreaElement>("payload").value)));
$("connect").onsubmit = (e) => {
  e.preventDefault();
  void connect();
};
$("close").onclick = () => void handle?.close();
$("filter").oninput = redraw;
$("pause").onclick = () => {
  paused = !paused;
  $("pause").textContent = paused ? "Go on" : "Pause";
};
$("clear").onclick = () => {
  rows = [];
  names.clear();
  drawNames();
  redraw();
};
for (const b of document.querySelectorAll<HTMLButtonElement>("[data-control]")) {
  b.onclick = () => void fetch(embedded!.control, { method: "POST", body: b.dataset["control"]! }).then((r) => say(`Trouble: ${b.textContent}${r.ok ? "" : " failed"}`));
}

$("version").textContent = gateway.version;
setInterval(drawSpark, 1000);
requestAnimationFrame(draw);

const answer = await fetch("/embedded.json").catch(() => undefined);
if (answer?.ok) {
  embedded = (await answer.json()) as Embedded;
  $<HTMLInputElement>("url").value = embedded.url;
  $<HTMLInputElement>("token").value = embedded.token;
  $("trouble").hidden = false;
  void connect();
}
