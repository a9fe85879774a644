// Writes tables and plots into the benchmark's README.

import { readFileSync, writeFileSync } from "node:fs";
import { root } from "./env.mjs";
import { plot } from "./plot.mjs";
import { cells, markdown } from "./table.mjs";

const dir = `${root}test/bench/`;

/** One part's report. */
function section(name, r) {
  const e = r.environment;
  const lines = [`_${e.date}, commit ${e.commit}; ${e.machine}; ${[e.go, `node ${e.node}`, e.chromium].filter(Boolean).join(", ")}${r.quick ? "; a quick run" : ""}._`];
  for (const t of r.tables) {
    if (t.title) lines.push(`**${t.title}**`);
    lines.push(markdown(t.cells ?? cells(t.rows)));
  }
  for (const p of r.plots ?? []) lines.push(`![${p.title}](${p.file})`);
  return lines.join("\n\n");
}

/** Rewrites what stands between the markers of each part that was run. */
export function write(results) {
  let text = readFileSync(`${dir}README.md`, "utf8");
  for (const [name, r] of Object.entries(results)) {
    const begin = `<!-- ${name} -->`;
    const end = `<!-- /${name} -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end);
    if (from < 0 || to < from) throw new Error(`the README has no place for ${name}`);
    text = `${text.slice(0, from + begin.length)}\n\n${section(name, r)}\n\n${text.slice(to)}`;
    for (const p of r.plots ?? []) writeFileSync(`${dir}${p.file}`, plot(p));
  }
  writeFileSync(`${dir}README.md`, text);
}
