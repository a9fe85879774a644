// How cost grows: with the size of messages, with observers, with handles.

import { client, decoders } from "./clients.js";
import { frames, tally } from "./frames.js";
import { connect } from "./ours.js";
import { inTurns } from "./rounds.js";

const NAME = "MESSAGE_CREATE";

/** µs for a message of one corpus: { ours, unobserved, peer }, each a list. */
export async function bySize({ corpus, peerCorpus, to, peer, rounds, per }) {
  const out = {};
  for (const observed of [true, false]) {
    const events = await frames(corpus);
    const theirs = peerCorpus === corpus ? events : await frames(peerCorpus);
    const seen = tally();
    const { socket, handle } = await connect(to, events, observed ? { observe: { [NAME]: seen.see } } : {});
    const other = client(decoders[peer]());
    other.handlers.set(NAME, [tally().see]);
    other.onmessage(theirs[0]);
    other.onmessage(theirs[1]);
    const feed = (sink, list) => (from, to) => {
      for (let i = from; i < to; i++) sink.onmessage(list[i]);
    };
    const times = await inTurns({ ours: feed(socket, events), peer: feed(other, theirs), from: 2, end: events.length, per, rounds, warm: Math.max(1, rounds >> 3) });
    out[observed ? "ours" : "unobserved"] = times.ours;
    out.peer = times.peer;
    await handle.close();
  }
  return out;
}

/** µs for an event that n observers see, or that one of the n sees whose events come in turns. */
export async function byObservers({ n, spread, corpus, rounds, per }) {
  const events = await frames(corpus);
  const names = Array.from({ length: spread ? n : 1 }, (_, i) => (i === 0 ? NAME : `${NAME}_${i}`));
  const list = events.map((e, i) => (i < 2 || !spread ? e : new MessageEvent("message", { data: e.data.replace(NAME, names[i % n]) })));
  let seen = 0;
  const see = (d) => (seen += d.id === undefined ? 0 : 1);
  const { socket, handle } = await connect("json", list, {});
  const other = client(decoders.json());
  for (const name of names) {
    const all = Array.from({ length: spread ? 1 : n }, () => (d) => see(d));
    other.handlers.set(name, all);
    for (const each of all) handle.observe(name, each);
  }
  const feed = (sink) => (from, to) => {
    for (let i = from; i < to; i++) sink.onmessage(list[i]);
  };
  const times = await inTurns({ ours: feed(socket), peer: feed(other), from: 2, end: list.length, per, rounds, warm: 4 });
  if (seen === 0) throw new Error("nothing was seen");
  await handle.close();
  return times;
}

/** µs for an event where n handles of the page take them in turns, and bytes of the page for each handle. */
export async function byHandles({ n, corpus, rounds, per }) {
  const events = await frames(corpus);
  let seen = 0;
  const see = (d) => (seen += d.id === undefined ? 0 : 1);
  const others = [];
  const ours = [];
  for (let i = 0; i < n; i++) {
    ours.push(await connect("json", events, { observe: { [NAME]: see } }));
    const other = client(decoders.json());
    other.handlers.set(NAME, [see]);
    others.push(other);
  }
  const sockets = ours.map((o) => o.socket);
  const feed = (sinks) => (from, to) => {
    for (let i = from; i < to; i++) sinks[i % n].onmessage(events[i]);
  };
  const times = await inTurns({ ours: feed(sockets), peer: feed(others), from: 2, end: events.length, per, rounds, warm: 4 });
  for (const { handle } of ours) await handle.close();
  return times;
}
