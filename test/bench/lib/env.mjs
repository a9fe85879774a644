// Where everything is, and what it is measured on.

import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../", import.meta.url));
/** What the benchmark makes for itself: corpora, bundles, a copy of the package. */
export const work = `${root}build/bench/`;
export const bin = (name) => `${root}build/bin/${name}`;

const output = (command, ...args) => {
  try {
    return execFileSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
};

/** What a report has to name for its figures to mean anything. */
export function environment(chromium) {
  // What the parts before have written of themselves changes nothing that is measured.
  const changed = output("git", "status", "--porcelain", "--", ":/", ":!/test/bench/README.md", ":!/test/bench/*.svg");
  return {
    commit: output("git", "describe", "--always", "--abbrev=12") + (changed ? "-dirty" : ""),
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    go: output("go", "env", "GOVERSION"),
    node: process.version,
    chromium,
  };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
