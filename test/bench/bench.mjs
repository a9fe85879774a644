// The benchmark: ./build.sh bench [part …] [-quick] [-write] [-only=text]

import { mkdirSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { chromium, gateway, site, version } from "./lib/chromium.mjs";
import { corpora } from "./lib/corpus.mjs";
import { environment, work } from "./lib/env.mjs";
import { write } from "./lib/report.mjs";
import { cells, missed, text } from "./lib/table.mjs";
import { codec } from "./parts/codec.mjs";
import { growth } from "./parts/growth.mjs";
import { hot } from "./parts/hot.mjs";
import { native } from "./parts/native.mjs";
import { socket } from "./parts/socket.mjs";
import { start } from "./parts/start.mjs";

const PARTS = {
  hot: ["In Chromium, messages handed in without a socket", hot],
  socket: ["In Chromium, over a socket", socket],
  native: ["Natively, over a socket", native],
  start: ["Start and size", start],
  codec: ["Payloads natively", codec],
  growth: ["How cost grows", growth],
};
const OPTIONS = /^-(quick|write|only=.*)$/;

const args = process.argv.slice(2);
const quick = args.includes("-quick");
const only = args.find((a) => a.startsWith("-only="))?.slice("-only=".length);
const names = args.filter((a) => !a.startsWith("-"));
const unknown = [...names.filter((name) => !PARTS[name]), ...args.filter((a) => a.startsWith("-") && !OPTIONS.test(a))];
if (unknown.length > 0) {
  console.error(`bench: unknown: ${unknown.join(" ")}. Parts: ${Object.keys(PARTS).join(", ")}; options: -quick, -write (into README.md), -only=TEXT (rows with it in their names).`);
  process.exit(2);
}

mkdirSync(work, { recursive: true });
const meta = corpora();
const context = { quick, only, meta, site: await site(), gateway: await gateway() };
let b;
context.browser = async () => (b ??= await chromium());
const file = `${work}results.json`;
const results = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
const ran = {};
try {
  for (const [name, [title, run]] of Object.entries(PARTS)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const began = performance.now();
    console.error(`${title} …`);
    const result = await run(context);
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`\n${title} (${seconds} s)`);
    for (const t of result.tables) console.log(`${t.title ? `\n  ${t.title}\n` : ""}${text(t.cells ?? cells(t.rows))}`);
    results[name] = ran[name] = { title, ...result, environment: environment(version), seconds, quick };
    writeFileSync(file, JSON.stringify(results, null, 1));
    if (args.includes("-write")) write({ [name]: results[name] });
  }
} finally {
  await b?.close();
  context.site.stop();
  context.gateway.stop();
}
const misses = Object.values(ran).flatMap((r) => r.tables.flatMap((t) => (t.rows ?? []).filter(missed).map((row) => `${row.name} (${row.ratio.toFixed(2)} > ${row.must})`)));
console.log(`\n${misses.length === 0 ? "Every must is met." : `Musts that are missed: ${misses.join("; ")}.`} All of it as JSON: build/bench/results.json`);
