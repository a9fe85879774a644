// How cost grows with what there is more of, as plots; and whether memory does.

import { readFileSync } from "node:fs";
import { page } from "../lib/chromium.mjs";
import { client } from "./native.mjs";
import { runner } from "./socket.mjs";

const SIZES = [100, 300, 1e3, 3e3, 10e3, 30e3, 100e3, 300e3, 1e6, 3e6, 10e6];
const MANY = [1, 3, 10, 30, 100, 300, 1000];
const HANDLES = [1, 2, 5, 10, 20, 50, 100];
const MB = 2 ** 20;

const CLOCK = 5; // µs: a page's clock goes in such steps

const least = (list) => Math.min(...list);

async function inPage(context, what, options) {
  const p = await page(await context.browser(), context.site.url);
  try {
    return await p.run((what, options) => bench[what](options), what, options);
  } finally {
    await p.close();
  }
}

async function sizes(context) {
  const { quick, meta } = context;
  const plots = [];
  const wanted = quick ? SIZES.filter((s) => [100, 1e3, 10e3, 100e3, 1e6].includes(s)) : SIZES;
  const transports = [
    { to: "json", peer: "json", name: "json" },
    { to: "zlib", peer: "pako, 64 KiB", name: "zlib-stream" },
    { to: "zstdframes", peer: "fzstd, frames", name: "zstd-stream, frames" },
  ];
  for (const t of quick ? transports.slice(0, 1) : transports) {
    console.error(`  … size of messages, ${t.name}`);
    const series = { ours: [], unobserved: [], peer: [] };
    for (const size of wanted) {
      const n = meta[`size-${size}`].events;
      const per = Math.max(1, Math.min(200, Math.floor(n / 10)));
      const rounds = Math.max(3, Math.floor(Math.min(2e7 / size, n) / per) - 2);
      const capped = t.to === "json" ? rounds : Math.min(rounds, Math.max(1, Math.floor(n / per) - 2));
      const times = await inPage(context, "bySize", { corpus: `size-${size}-${t.to}`, peerCorpus: `size-${size}-${t.to}`, to: t.to, peer: t.peer, per, rounds: Math.min(capped, 15) });
      // What takes less than a step of the clock has been seen to take none.
      for (const key of Object.keys(series)) series[key].push([size, Math.max(least(times[key]), CLOCK / 2 / per)]);
    }
    plots.push({
      file: `growth-size-${t.to}.svg`,
      title: `${t.name}: cost of a message by its size`,
      x: "bytes of JSON",
      y: "µs",
      logX: true,
      logY: true,
      series: [
        { name: "ours, observed", points: series.ours },
        { name: "ours, unobserved", points: series.unobserved },
        { name: t.peer === "json" ? "JSON.parse" : `${t.peer.split(",")[0]} + JSON.parse`, points: series.peer },
      ],
    });
  }
  return plots;
}

async function many(context, what, counts, options, plotOptions) {
  const { quick } = context;
  const ours = [];
  const peer = [];
  for (const n of quick ? counts.filter((_, i) => i % 3 === 0) : counts) {
    const times = await inPage(context, what, { n, corpus: "small-json", ...options, rounds: quick ? 8 : 20, per: options.per?.(n) ?? 400 });
    ours.push([n, least(times.ours)]);
    peer.push([n, least(times.peer)]);
  }
  return {
    ...plotOptions,
    y: "µs for an event",
    logX: true,
    series: [
      { name: "ours", points: ours },
      { name: "by hand", points: peer },
    ],
  };
}

/** Memory while a million events go by: [[events, MB], …]. */
async function million(context) {
  const { quick, gateway, meta } = context;
  const loop = quick ? 3 : 17;
  const n = (meta.mix.events - meta.mix.warm) * loop;
  console.error("  … a million events in a page");
  const r = await runner(context, { corpus: "mix", to: "json", names: ["MESSAGE_CREATE"], host: "worker" }, "ours");
  const id = await r.connect({ loop });
  await r.renderer.rest();
  const before = r.renderer.cpu();
  const heap = [await r.run(() => bench.heap())];
  const inPage = [[0, r.renderer.memory() / MB]];
  const began = performance.now();
  const times = [0];
  const timer = setInterval(() => {
    times.push(performance.now() - began);
    inPage.push([0, r.renderer.memory() / MB]);
  }, 250);
  try {
    await gateway.go(id);
    await r.run(() => bench.finishSocket());
  } finally {
    clearInterval(timer);
  }
  const all = performance.now() - began;
  inPage.forEach((p, i) => (p[0] = Math.min(1, times[i] / all) * n));
  const cpu = r.renderer.since(before);
  heap.push(await r.run(() => bench.heap()));
  await r.run(() => bench.closeSocket());
  await r.close();

  console.error("  … a million events natively");
  const natively = [];
  const result = await client(gateway, "ours", "json", {
    loop,
    warm: meta.mix.warm,
    watch: (pid, time) => natively.push([time, Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024]),
  });
  const last = natively.at(-1)?.[0] ?? 1;
  for (const p of natively) p[0] = (p[0] / last) * n;
  return {
    plot: {
      file: "growth-memory.svg",
      title: `Memory of the process while ${(n / 1e6).toFixed(2)} M events go by`,
      x: "events",
      y: "MiB, anonymous",
      series: [
        { name: "page and its Worker", points: inPage },
        { name: "Go program", points: natively },
      ],
    },
    rows: [
      ["page, bytes of JavaScript objects", `${(heap[0] / MB).toFixed(1)} MiB`, `${(heap[1] / MB).toFixed(1)} MiB`],
      ["page and Worker, of the system", `${inPage[0][1].toFixed(0)} MiB`, `${inPage.at(-1)[1].toFixed(0)} MiB, at most ${Math.max(...inPage.map((p) => p[1])).toFixed(0)}`],
      ["Go program, of the system", `${(natively[0]?.[1] ?? 0).toFixed(0)} MiB`, `${(natively.at(-1)?.[1] ?? 0).toFixed(0)} MiB, at most ${Math.max(...natively.map((p) => p[1])).toFixed(0)}`],
      ["Go program, heap after a collection", "", `${(result.heap / MB).toFixed(1)} MiB`],
      ["CPU of the page's main thread", "", `${((cpu.main * 1000) / n).toFixed(2)} µs an event`],
      ["CPU of the Go program", "", `${(result.cpu / n).toFixed(2)} µs an event`],
    ],
  };
}

export async function growth(context) {
  const plots = await sizes(context);
  console.error("  … observers");
  plots.push(await many(context, "byObservers", MANY, { spread: false, per: (n) => (n > 100 ? 100 : 400) }, { file: "growth-observers.svg", title: "Observers of one event", x: "observers" }));
  plots.push(await many(context, "byObservers", MANY, { spread: true }, { file: "growth-events.svg", title: "Events observed, one observer each", x: "events that are observed" }));
  console.error("  … handles");
  plots.push(await many(context, "byHandles", HANDLES, {}, { file: "growth-handles.svg", title: "Handles in one page, events in turns", x: "handles" }));
  const memory = await million(context);
  plots.push(memory.plot);
  const table = (p) => ({
    title: `${p.title}, ${p.y}`,
    cells: [[p.x, ...p.series.map((s) => s.name)], ...p.series[0].points.map((point, i) => [String(point[0]), ...p.series.map((s) => (s.points[i][1] < 10 ? s.points[i][1].toFixed(2) : s.points[i][1].toFixed(0)))])],
  });
  return {
    tables: [...plots.slice(0, -1).map(table), { title: "A million events, a fifth observed: before and after", cells: [["what", "before", "after"], ...memory.rows] }],
    plots,
  };
}
