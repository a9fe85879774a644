// Over a real socket in Chromium: what an event costs the main thread of a page,
// and its whole process, with the core in its Worker and with clients written by
// hand on the page.

import { page, Renderer } from "../lib/chromium.mjs";
import { sleep } from "../lib/env.mjs";
import { compare } from "../lib/stats.mjs";

const ALL = ["MESSAGE_CREATE", "MESSAGE_UPDATE"];
const PLAIN = [
  { name: "json of 500 B, all observed", names: ALL, must: 0.3 },
  { name: "json of 500 B, a fifth observed", names: ["MESSAGE_CREATE"], must: 0.1 },
  { name: "json of 500 B, none observed", names: [], must: 0.03 },
].map((c) => ({ corpus: "half", to: "json", decoder: "json", ...c }));

const MIX = [
  { name: "mix, json", to: "json", decoder: "json", whole: 0.9 },
  { name: "mix, zlib-stream", to: "zlib", decoder: "pako", whole: 0.7 },
  { name: "mix, zstd-stream, one stream", to: "zstd", decoder: "fzstd", whole: 0.7 },
  { name: "mix, zstd-stream, frames", to: "zstdframes", decoder: "fzstd", peerTo: "zstd", whole: 0.7 },
  { name: "mix, etf", to: "etf", decoder: "erlpackjs" },
].map((c) => ({ corpus: "page", names: ["MESSAGE_CREATE"], must: 0.1, aim: 0.05, ...c }));

let last = 0;

/** A page that runs one client, connection after connection. */
export async function runner(context, c, who) {
  const p = await page(await context.browser(), context.site.url);
  const to = who === "ours" ? c.to : (c.peerTo ?? c.to);
  const renderer = await Renderer.of(p.p);
  return {
    renderer,
    run: p.run,
    close: p.close,
    async connect({ events = 0, rate = 0, loop = 1 }) {
      const id = `page${++last}`;
      const { warm } = context.meta[c.corpus];
      const url = `ws://${context.gateway.address}/${c.corpus}-${to}/id=${id}/warm=${warm}/events=${events}/rate=${rate}/loop=${loop}/`;
      await p.run((options) => bench.connectSocket(options), { who, url, to, decoder: c.decoder, names: c.names, host: c.host ?? "worker" });
      return id;
    },
    /** µs of CPU for an event: { main, all, seen }. */
    async once(options) {
      const id = await this.connect(options);
      await renderer.rest(); // the warm events have been dealt with
      const before = renderer.cpu();
      await context.gateway.go(id);
      const seen = await p.run(() => bench.finishSocket());
      const used = renderer.since(before);
      await p.run(() => bench.closeSocket());
      const { events, warm } = context.meta[c.corpus];
      const n = (options.events ?? events - warm) * (options.loop ?? 1);
      return { main: (used.main * 1000) / n, all: (used.all * 1000) / n, seen: seen.count };
    },
  };
}

async function turns(context, c, options, rounds, warm) {
  const ours = await runner(context, c, "ours");
  const hand = await runner(context, c, "hand");
  const got = { ours: [], hand: [] };
  for (let r = -warm; r < rounds; r++) {
    const a = r % 2 ? [ours, hand] : [hand, ours];
    const results = [await a[0].once(options), await a[1].once(options)];
    if (results[0].seen !== results[1].seen) throw new Error(`${c.name}: ${results.map((x) => x.seen)} events were seen`);
    if (r < 0) continue;
    got[r % 2 ? "ours" : "hand"].push(results[0]);
    got[r % 2 ? "hand" : "ours"].push(results[1]);
  }
  await ours.close();
  await hand.close();
  return got;
}

export async function socket(context) {
  const { quick, only } = context;
  const main = [];
  const whole = [];
  const paced = [];
  const row = (c, got, what, must, aim) => {
    const { ours, peer, ...rest } = compare(got.ours.map((x) => x[what]), got.hand.map((x) => x[what]), Math.min(3, got.ours.length));
    return { name: c.name, unit: "µs", ours, peer, ...rest, against: { json: "JSON.parse" }[c.decoder] ?? c.decoder, must, aim };
  };
  // The network and the server take a part of the two cores that is never the same:
  // it takes many rounds to tell a tenth of a process from another.
  const rounds = quick ? 1 : 14;
  for (const c of [...PLAIN, ...MIX]) {
    if (only && !c.name.includes(only)) continue;
    console.error(`  … ${c.name}`);
    const got = await turns(context, c, {}, rounds, 1);
    main.push(row(c, got, "main", c.must, c.aim));
    whole.push(row(c, got, "all", c.whole));
  }
  for (const c of quick ? [] : [PLAIN[1], MIX[0], MIX[4]]) {
    if (only && !c.name.includes(only)) continue;
    for (const rate of [100, 1000]) {
      const name = `${c.name}, ${rate} events a second`;
      console.error(`  … ${name}`);
      const got = await turns(context, { ...c, name }, { events: rate * 2, rate }, 3, 1);
      paced.push(row({ ...c, name: `${name}, main thread` }, got, "main"), row({ ...c, name: `${name}, whole process` }, got, "all"));
    }
  }
  return {
    tables: [
      { title: "CPU of the page's main thread for each event, as fast as they are taken", rows: main },
      { title: "CPU of the page's whole process for each event, as fast as they are taken", rows: whole },
      ...(paced.length > 0 ? [{ title: "The same where events come at a steady pace, so that each wakes the process", rows: paced }] : []),
    ],
  };
}
