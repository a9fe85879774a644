// ./build.sh size: what the binary and the scripts weigh, and what contributes.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { brotli } from "./parts/start.mjs";
import { root } from "./lib/env.mjs";
import { text } from "./lib/table.mjs";
import { packages as packagesOf, read } from "./lib/wasm.mjs";

const kb = (n) => (n / 1000).toFixed(1);

const scripts = ["gateway.wasm", "index.js", "spacebar-gateway.js", "worker.js"].map((file) => {
  const data = readFileSync(`${root}web/dist/${file}`);
  return [file, kb(data.length), kb(gzipSync(data, { level: 9 }).length), kb(brotli(data))];
});
console.log(`\nThe files of the package, KB\n${text([["file", "raw", "gzip", "brotli"], ...scripts])}`);

const named = `${root}build/bench/named.wasm`; // the same with its names
const { sections, functions, data } = read(readFileSync(named));
const code = functions.reduce((n, f) => n + f.code.length, 0);
console.log(
  `\nThe binary's sections, KB\n${text([
    ["section", "raw", "brotli alone"],
    ["code", kb(code), kb(brotli(Buffer.concat(functions.map((f) => f.code))))],
    ["data", kb(data.length), kb(brotli(data))],
    ...[...sections].filter(([name, n]) => !/^(code|data|custom)/.test(name) && n > 1000).map(([name, n]) => [name, kb(n), ""]),
  ])}`,
);

const listed = execFileSync("go", ["list", "-deps", "./wasm"], { cwd: root, encoding: "utf8", env: { ...process.env, GOOS: "js", GOARCH: "wasm" } });
const packageOf = packagesOf(listed.trim().split("\n"));
const packages = new Map();
for (const f of functions) {
  const name = packageOf(f.name).replace("github.com/spacebar-gateway/spacebar-gateway/", "");
  if (!packages.has(name)) packages.set(name, []);
  packages.get(name).push(f);
}
const rows = [...packages].map(([name, list]) => {
  const bytes = Buffer.concat(list.map((f) => f.code));
  return { name, raw: bytes.length, packed: brotli(bytes), functions: list.length };
});
rows.sort((a, b) => b.packed - a.packed);
const shown = rows.filter((r) => r.packed >= 500);
const rest = rows.filter((r) => r.packed < 500);
const total = (what) => rest.reduce((n, r) => n + r[what], 0);
console.log(
  `\nCode by package, KB. Data, of which most is what the runtime keeps about functions, grows with it.\n${text([
    ["package", "functions", "raw", "brotli alone"],
    ...shown.map((r) => [r.name, String(r.functions), kb(r.raw), kb(r.packed)]),
    [`${rest.length} others`, String(total("functions")), kb(total("raw")), kb(total("packed"))],
  ])}`,
);

const largest = functions.toSorted((a, b) => b.code.length - a.code.length).slice(0, 25);
console.log(`\nThe largest functions, KB\n${text([["function", "raw"], ...largest.map((f) => [f.name.replace("github.com_spacebar_gateway_spacebar_gateway_", ""), kb(f.code.length)])])}`);
