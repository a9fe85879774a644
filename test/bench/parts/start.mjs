// What a page waits for: the start of the core against that of a Go program that
// does nothing, and their sizes.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { page } from "../lib/chromium.mjs";
import { work } from "../lib/env.mjs";
import { compare, median } from "../lib/stats.mjs";

export const brotli = (data) => brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }).length;

export async function start({ browser, site, quick }) {
  const p = await page(await browser(), site.url);
  const { times, compile } = await p.run((o) => bench.start(o), { ours: "/dist/gateway.wasm", peer: "/empty.wasm", rounds: quick ? 8 : 30, warm: 2 });
  await p.close();
  const { ours, peer, ...rest } = compare(times.ours, times.peer);
  const kb = (file) => brotli(readFileSync(`${work}${file}`)) / 1000;
  const size = kb("dist/gateway.wasm");
  const empty = kb("empty.wasm");
  return {
    tables: [
      {
        rows: [
          { name: "start: instantiate and run until ready", unit: "ms", ours, peer, ...rest, against: "an empty Go program", must: 1.5, aim: 1.4 },
          { name: "of it, compiling", unit: "ms", ours: median(compile.ours), peer: median(compile.peer), ratio: median(compile.ours) / median(compile.peer), against: "an empty Go program" },
          { name: "size, brotli 11", unit: "KB", ours: size, peer: empty, ratio: size / empty, against: "an empty Go program" },
          { name: "size, against what is allowed", unit: "KB", ours: size, peer: 800, ratio: size / 800, against: "800 KB", must: 1, aim: 650 / 800 },
        ],
      },
    ],
  };
}
