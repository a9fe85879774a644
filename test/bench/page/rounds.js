// Measuring two ways of doing the same thing in turns.

/**
 * Collects what has been left to collect, to its end: where the first of them goes on
 * freeing memory on other threads, the second waits for that. Otherwise it would be done
 * in the turn of the other side, which has nothing of it.
 */
export function collect(type = "minor") {
  gc({ type });
  gc({ type: "minor" });
}

/**
 * Runs `ours` and `peer` in turns, each with `per` events of those from `from` to
 * `end`, and returns how long each took in each round, in µs for an event.
 * Before each, what the other left to collect is collected.
 */
export async function inTurns({ ours, peer, from, end, per, rounds, warm }) {
  const times = { ours: [], peer: [] };
  const time = (run, start) => {
    collect();
    const t = performance.now();
    run(start, start + per);
    return ((performance.now() - t) * 1000) / per;
  };
  const begin = from;
  for (let r = -warm; r < rounds; r++, from += per) {
    if (from + per > end) from = begin; // of what can be had again
    const first = r % 2 ? "ours" : "peer";
    const second = r % 2 ? "peer" : "ours";
    const a = time(first === "ours" ? ours : peer, from);
    const b = time(second === "ours" ? ours : peer, from);
    if (r >= 0) {
      times[first].push(a);
      times[second].push(b);
    }
    await new Promise((resolve) => setTimeout(resolve)); // lets compilers finish
  }
  return times;
}

export function same(a, b, what) {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${what}: ours is ${JSON.stringify(a)}, the peer's ${JSON.stringify(b)}`);
}
