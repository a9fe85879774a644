// What the benchmarks of Go packages say: decoding of payloads, and the mirror
// of guilds where there is one.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { root } from "../lib/env.mjs";

/** Runs `go test -bench`: Map of name → { ns, allocs }, the least of several runs. */
async function bench(pkg, pattern, time, count) {
  const child = spawn("go", ["test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", time, "-count", String(count), pkg], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`the benchmarks of ${pkg} failed: ${text}`);
  const all = new Map();
  for (const [, name, ns, rest] of text.matchAll(/^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op(.*)$/gm)) {
    const found = { ns: Number(ns), allocs: Number(/([\d.]+) allocs\/op/.exec(rest)?.[1] ?? 0) };
    if (!all.has(name) || all.get(name).ns > found.ns) all.set(name, found);
  }
  return all;
}

const us = (ns) => (ns >= 1e6 ? (ns / 1000).toFixed(0) : (ns / 1000).toFixed(2));

export async function codec({ quick }) {
  console.error("  … decoding");
  const got = await bench("./gateway/event", "^BenchmarkDecode", quick ? "20ms" : "150ms", quick ? 1 : 3);
  const events = new Map();
  for (const [name, r] of got) {
    const [, event, decoder] = name.split("/");
    if (!events.has(event)) events.set(event, {});
    const row = events.get(event);
    row[name.startsWith("DecodeReady4MB") ? `${decoder}, 4 MB` : decoder] = r;
  }
  const big = events.get("READY");
  const columns = [["ours", "ours"], ["go-json", "go-json"], ["go-json,plain", "go-json, plain"], ["encoding-json", "encoding/json"], ["encoding-json,plain", "encoding/json, plain"]];
  const line = (name, row, suffix = "") => [name, ...columns.map(([key]) => (row[key + suffix] ? `${us(row[key + suffix].ns)} (${row[key + suffix].allocs})` : "")), (row[`ours${suffix}`].ns / row[`go-json${suffix}`].ns).toFixed(2)];
  const cells = [["event", ...columns.map((c) => c[1]), "ours / go-json"], ...[...events].map(([name, row]) => line(name, row))];
  if (big?.["ours, 4 MB"]) cells.push(line("READY of 4 MB", big, ", 4 MB"));
  const tables = [{ title: "Decoding the ten most frequent events: µs (and objects made) for each; plain is without Opt and unknown fields", cells }];

  const dir = `${root}gateway/watch`;
  const measured = existsSync(dir) && readdirSync(dir).some((f) => f.endsWith("_test.go") && /func Benchmark/.test(readFileSync(`${dir}/${f}`, "utf8")));
  if (measured) {
    console.error("  … watched guilds");
    const watched = await bench("./gateway/watch", ".", quick ? "20ms" : "150ms", quick ? 1 : 3);
    tables.push({ title: "Watched state: cost of an operation", cells: [["benchmark", "µs", "objects made"], ...[...watched].map(([name, r]) => [name, us(r.ns), String(r.allocs)])] });
  }
  return { tables };
}
