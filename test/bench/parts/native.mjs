// Clients in Go against a server in another process: what an event costs the
// process of each, by the kernel's account, and how many objects it makes.

import { spawn } from "node:child_process";
import { bin } from "../lib/env.mjs";
import { compare, median } from "../lib/stats.mjs";

const TRANSPORTS = ["json", "zlib", "zstd", "zstdframes"];
const NAMES = { json: "json", zlib: "zlib-stream", zstd: "zstd-stream, one stream", zstdframes: "zstd-stream, frames" };
const PEERS = { json: ["disgo", "discordgo"], zlib: ["disgo"], zstd: ["disgo"], zstdframes: [] };

let last = 0;

/** Runs one client through one connection: { cpu (µs), allocs, bytes, seen, heap, rss }. */
export async function client(gateway, name, transport, { corpus = "mix", observe = "message", warm = 0, events = 0, loop = 1, frames = 0, repeat = 0, profile, watch } = {}) {
  const id = `native${++last}`;
  const url = `ws://${gateway.address}/${corpus}-${transport}/id=${id}/warm=${warm}/events=${events}/loop=${loop}/`;
  const args = ["-client", name, "-url", url, "-transport", transport, "-observe", observe, "-warm", warm + 2, "-frames", frames, "-repeat", repeat];
  if (profile) args.push("-cpuprofile", profile);
  const child = spawn(bin("benchclient"), args.map(String), { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let going = false;
  let timer;
  child.stdout.on("data", (data) => {
    text += data;
    if (!going && text.startsWith("warm\n")) {
      going = true;
      void gateway.go(id);
      if (watch) {
        const began = performance.now();
        const look = () => {
          try {
            watch(child.pid, performance.now() - began);
          } catch {
            // It has just ended.
          }
        };
        look();
        timer = setInterval(look, 50);
      }
    }
  });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`${name} over ${transport} ended with ${code}`);
  return JSON.parse(text.replace("warm\n", ""));
}

export async function native({ gateway, quick, meta, only }) {
  const warm = meta.mix.warm;
  const n = meta.mix.events - warm - 2; // without the markers
  const rounds = quick ? 2 : 7;
  const mix = [];
  const nothing = [];
  const allocations = [];
  for (const transport of TRANSPORTS) {
    if (only && !NAMES[transport].includes(only)) continue;
    console.error(`  … ${NAMES[transport]}`);
    const runs = { ours: ["ours", "message"], none: ["ours", "none"], bare: ["bare", "none"] };
    for (const p of PEERS[transport]) runs[p] = [p, "message"];
    const got = Object.fromEntries(Object.keys(runs).map((key) => [key, []]));
    for (let r = 0; r < rounds; r++) {
      const order = Object.keys(runs);
      for (let i = 0; i < order.length; i++) {
        const key = order[(i + r) % order.length];
        const [name, observe] = runs[key];
        got[key].push(await client(gateway, name, transport, { observe, warm, frames: meta.mix.events + 2 }));
      }
    }
    const cpu = (key) => got[key].map((r) => r.cpu / n);
    const allocs = (key) => median(got[key].map((r) => r.allocs)) / n;
    const against = (name, ours, key, must, aim) => {
      const { ours: a, peer: b, ...rest } = compare(cpu(ours), cpu(key), Math.min(rounds, 4));
      return { name: `${NAMES[transport]}${name}`, unit: "µs", ours: a, peer: b, ...rest, against: key === "bare" ? (transport === "json" ? "bare loop" : "bare loop + klauspost") : key, must, aim };
    };
    const best = PEERS[transport].toSorted((a, b) => median(cpu(a)) - median(cpu(b)))[0];
    for (const p of PEERS[transport]) mix.push(against(", messages observed", "ours", p, ...(p === best ? [0.25, 0.15] : [])));
    mix.push(against(", messages observed", "ours", "bare", 2.0, 1.5));
    nothing.push(against(", nothing observed", "none", "bare", 1.15));
    const seen = got.ours[0].seen;
    for (const p of [...PEERS[transport], "ours"]) {
      for (const r of got[p]) if (r.seen !== seen || seen < n / 6) throw new Error(`${p} saw ${r.seen} messages, ours ${seen}`);
    }
    // A few hundred objects are made by timers and the runtime in every run.
    const own = allocs("none") - allocs("bare");
    allocations.push({ transport: NAMES[transport], bare: allocs("bare"), none: allocs("none"), own, observed: allocs("ours"), ...Object.fromEntries(PEERS[transport].map((p) => [p, allocs(p)])) });
  }
  const ready = [];
  for (const transport of ["json", "zlib", "zstd"]) {
    if (only && !NAMES[transport].includes(only)) continue;
    console.error(`  … READY, ${NAMES[transport]}`);
    const repeat = quick ? 4 : 6;
    const got = { ours: [], disgo: [] };
    for (let r = 0; r < (quick ? 1 : 4); r++) {
      for (const who of Object.keys(got)) {
        const { cpu, runs } = await client(gateway, who, transport, { corpus: "ready", observe: "ready", repeat });
        got[who].push(cpu / runs / 1000);
      }
    }
    const { ours, peer, ...rest } = compare(got.ours, got.disgo);
    ready.push({ name: `${NAMES[transport]}, READY of ${(meta.ready.bytes / 1e6 || 4.7).toFixed(1)} MB, decoded`, unit: "ms", ours, peer, ...rest, against: "disgo", must: 0.7 });
  }
  const cell = (x) => (x === undefined ? "" : x < 0.005 ? "0.00" : x.toFixed(2));
  return {
    tables: [
      { title: "CPU of the process for each event of the mix", rows: [...nothing, ...mix] },
      { title: "CPU of the process for a connection with its READY", rows: ready },
      {
        title: "Objects made for each event of the mix",
        cells: [["transport", "bare loop", "ours, nothing observed", "of these our own", "ours, messages observed", "disgo", "discordgo"], ...allocations.map((a) => [a.transport, cell(a.bare), cell(a.none), cell(a.own), cell(a.observed), cell(a.disgo), cell(a.discordgo)])],
      },
    ],
    allocations,
  };
}
