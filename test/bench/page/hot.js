// Messages handed in without a socket, the core on the page.

import { client, decoders } from "./clients.js";
import { frames, tally } from "./frames.js";
import { connect, dial } from "./ours.js";
import { collect, inTurns, same } from "./rounds.js";

/** Small messages: µs for each. */
export async function small({ corpus, peer, to, peerCorpus = corpus, observed, per, rounds, warm }) {
  const events = await frames(corpus);
  const theirs = peerCorpus === corpus ? events : await frames(peerCorpus);
  const name = "MESSAGE_CREATE";
  const mine = tally();
  const { socket, handle } = await connect(to, events, observed ? { observe: { [name]: mine.see } } : {});
  const hand = tally();
  const other = client(decoders[peer]());
  if (observed) other.handlers.set(name, [hand.see]);
  other.onmessage(theirs[0]);
  other.onmessage(theirs[1]);
  const times = await inTurns({
    ours(from, to) {
      for (let i = from; i < to; i++) socket.onmessage(events[i]);
    },
    peer(from, to) {
      for (let i = from; i < to; i++) other.onmessage(theirs[i]);
    },
    from: 2,
    end: events.length,
    per,
    rounds,
    warm,
  });
  const n = per * (rounds + warm);
  const stats = await handle.stats();
  same([stats.events[name], mine.count, mine.sum], [n, hand.count, hand.sum], corpus);
  if (observed) same(mine.count, n, "observed");
  return times;
}

/** One READY for each connection: µs. */
export async function ready({ to, peer, corpus, peerCorpus = corpus, rounds, warm }) {
  const [hello, message] = await frames(corpus);
  const [theirHello, theirMessage] = await frames(peerCorpus);
  const times = { ours: [], peer: [] };
  const seen = [];
  const note = (d) => void seen.push(d.guilds.length, d.session_id);
  const time = (run) => {
    collect("major");
    const t = performance.now();
    run();
    return (performance.now() - t) * 1000;
  };
  const turn = {
    async ours() {
      const { socket, ready } = await dial(to, { observe: { READY: note } });
      socket.onmessage(hello);
      const t = time(() => socket.onmessage(message));
      await (await ready).close();
      return t;
    },
    async peer() {
      const other = client(decoders[peer]());
      other.handlers.set("READY", [note]);
      other.onmessage(theirHello);
      return time(() => other.onmessage(theirMessage));
    },
  };
  for (let r = -warm; r < rounds; r++) {
    for (const who of r % 2 ? ["ours", "peer"] : ["peer", "ours"]) {
      const t = await turn[who]();
      if (r >= 0) times[who].push(t);
    }
  }
  same(seen.length, 4 * (rounds + warm), "READY seen");
  same(new Set(seen).size, 2, "READY");
  return times;
}
