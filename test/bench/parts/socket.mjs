// Over a real socket in Chromium: what an event costs the main thread of a page,
// and its whole process, with the core in its Worker and with clients written by
// hand on the page.

import { chromium, page, Renderer } from "../lib/chromium.mjs";
import { typical } from "../lib/stats.mjs";

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
      await p.p.bringToFront();
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

/**
 * What a process pays has its luck: where its memory comes to lie, and on which of
 * two cores which thread wakes, makes a tenth of it. So a row is measured in one
 * Chromium after another. In each, the two sides take turns, in an order that
 * changes, each in a page of its own that stands in front while it is measured.
 */
async function measure(context, c, options, processes, rounds) {
  const blocks = [];
  for (let i = 0; i < processes; i++) {
    const b = await chromium();
    try {
      const own = { ...context, browser: async () => b };
      const sides = { ours: await runner(own, c, "ours"), hand: await runner(own, c, "hand") };
      const got = { ours: [], hand: [] };
      for (let r = -1; r < rounds; r++) {
        for (const who of (i + r) % 2 ? ["ours", "hand"] : ["hand", "ours"]) got[who].push(await sides[who].once(options));
        if (got.ours.at(-1).seen !== got.hand.at(-1).seen) throw new Error(`${c.name}: ${got.ours.at(-1).seen} and ${got.hand.at(-1).seen} events were seen`);
      }
      blocks.push({ ours: got.ours.slice(1), hand: got.hand.slice(1) }); // without what warmed up
    } finally {
      await b.close();
    }
  }
  return blocks;
}

export async function socket(context) {
  const { quick, only } = context;
  const main = [];
  const whole = [];
  const paced = [];
  const row = (c, blocks, what, must, aim) => ({
    name: c.name,
    unit: "µs",
    ...typical(blocks.map((b) => ({ ours: b.ours.map((x) => x[what]), peer: b.hand.map((x) => x[what]) }))),
    against: { json: "JSON.parse" }[c.decoder] ?? c.decoder,
    must,
    aim,
  });
  for (const c of [...PLAIN, ...MIX]) {
    if (only && !c.name.includes(only)) continue;
    console.error(`  … ${c.name}`);
    const got = await measure(context, c, {}, quick ? 1 : 3, quick ? 1 : 4);
    main.push(row(c, got, "main", c.must, c.aim));
    whole.push(row(c, got, "all", c.whole));
  }
  for (const c of quick ? [] : [PLAIN[1], MIX[0], MIX[4]]) {
    if (only && !c.name.includes(only)) continue;
    for (const rate of [100, 1000]) {
      const name = `${c.name}, ${rate} events a second`;
      console.error(`  … ${name}`);
      const got = await measure(context, { ...c, name }, { events: Math.max(rate * 2, 400), rate }, 3, 2);
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
