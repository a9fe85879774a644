// Messages handed to the core on the page, without a socket: what a message
// costs against what a user would write by hand.

import { page } from "../lib/chromium.mjs";
import { typical } from "../lib/stats.mjs";

// fzstd makes room for the whole window of each frame, 2 MiB with a Spacebar
// server, so that a message is dearer to it than a READY. What a client has to read
// is the dialect of its server; how far a frame for each message is from one stream is
// shown, too, but no choice that anybody has.
// Of the two ETF decoders the faster counts.
const ETF = { must: 0.7, aim: 0.4 };
const SMALL = [
  { name: "json, observed", to: "json", corpus: "small-json", peer: "json", observed: true, must: 1.15, aim: 1.05 },
  { name: "json, observed, key order t s op d", to: "json", corpus: "small-discord-json", peer: "json", observed: true, must: 1.15, aim: 1.05 },
  { name: "json, not observed", to: "json", corpus: "small-json", peer: "json", observed: false, must: 0.2, aim: 0.1 },
  { name: "json, not observed, key order t s op d", to: "json", corpus: "small-discord-json", peer: "json", observed: false, must: 0.2, aim: 0.1 },
  { name: "json of 500 B, observed", to: "json", corpus: "small500-json", peer: "json", observed: true, must: 1.25 },
  { name: "json of 500 B, not observed", to: "json", corpus: "small500-json", peer: "json", observed: false, must: 0.25 },
  { name: "zlib-stream", to: "zlib", corpus: "small-zlib", peer: "pako", observed: true, must: 0.6, aim: 0.3 },
  { name: "zlib-stream, not observed", to: "zlib", corpus: "small-zlib", peer: "pako", observed: false },
  { name: "zstd-stream, one stream", to: "zstd", corpus: "small-zstd", peer: "fzstd", observed: true, must: 0.2, aim: 0.1 },
  { name: "zstd-stream, frames", to: "zstdframes", corpus: "small-zstdframes", peer: "fzstd, frames", observed: true, per: 20, rounds: 8, warm: 2, must: 0.2, aim: 0.1 },
  { name: "zstd-stream, frames (the peer has one stream)", to: "zstdframes", corpus: "small-zstdframes", peer: "fzstd", peerCorpus: "small-zstd", observed: true },
  { name: "zstd-stream, frames, not observed", to: "zstdframes", corpus: "small-zstdframes", peer: "fzstd", peerCorpus: "small-zstd", observed: false },
  { name: "etf", to: "etf", corpus: "small-etf", peer: "etf.js", observed: true, ...ETF },
  { name: "etf", to: "etf", corpus: "small-etf", peer: "erlpackjs", observed: true, ...ETF },
  { name: "etf, not observed", to: "etf", corpus: "small-etf", peer: "erlpackjs", observed: false },
];

const READY = [
  { name: "json, READY of 4.7 MB", to: "json", corpus: "ready-json", peer: "json" },
  { name: "zlib-stream, READY of 4.7 MB", to: "zlib", corpus: "ready-zlib", peer: "pako, 64 KiB", must: 1.0, aim: 0.7 },
  { name: "zstd-stream, one stream, READY of 4.7 MB", to: "zstd", corpus: "ready-zstd", peer: "fzstd", must: 1.05, aim: 0.8 },
  { name: "zstd-stream, frames, READY of 4.7 MB", to: "zstdframes", corpus: "ready-zstdframes", peer: "fzstd", peerCorpus: "ready-zstd", must: 1.05, aim: 0.8 },
  { name: "etf, READY of 4.7 MB", to: "etf", corpus: "ready-etf", peer: "erlpackjs" },
];

const AGAINST = { json: "JSON.parse" };

/** A row of the table from what two measured in turns, in one page after the other. */
function row(c, pages, unit) {
  const scale = unit === "ms" ? 1000 : 1;
  const { ours, peer, ...rest } = typical(pages);
  return { name: c.name, unit, ours: ours / scale, peer: peer / scale, ...rest, against: AGAINST[c.peer] ?? c.peer, must: c.must, aim: c.aim };
}

export async function hot({ browser, site, quick, only }) {
  const rows = [];
  const each = async (c, what, unit, options) => {
    if (only && !c.name.includes(only)) return;
    // Pages of its own, so that no client is slowed by having seen other types; and
    // several, as where its memory lies and when it is compiled is any page's luck:
    // fzstd takes 25 µs in one and 38 in another.
    console.error(`  … ${c.name}`);
    const pages = [];
    for (let n = quick ? 1 : what === "small" ? 12 : 3; n > 0; n--) {
      const p = await page(await browser(), site.url);
      pages.push(await p.run((what, options) => bench[what](options), what, { ...options, ...c }));
      await p.close();
    }
    rows.push(row(c, pages, unit));
  };
  for (const c of SMALL) {
    // Turns are so long that each side pays for the garbage that it makes, and does
    // not spend them on finding its memory again that the other has driven from the
    // caches. No message is handed in twice, as a connection's numbers only rise; the
    // corpus has 26,000.
    await each(c, "small", "µs", { per: 1000, rounds: quick ? 10 : 22, warm: 4 });
  }
  for (const c of READY) await each(c, "ready", "ms", { rounds: quick ? 5 : 15, warm: 3 });
  const etf = rows.filter((r) => r.name === "etf").sort((a, b) => b.ratio - a.ratio);
  for (const r of etf.slice(1)) r.must = r.aim = undefined;
  return { tables: [{ rows }] };
}
