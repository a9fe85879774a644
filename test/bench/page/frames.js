// Corpora in the page.

const decoder = new TextDecoder();

/** The frames of a corpus as the events that a WebSocket would hand over. */
export async function frames(name) {
  const buffer = await (await fetch(`/${name}.frames`)).arrayBuffer();
  const view = new DataView(buffer);
  const list = [];
  for (let i = 0; i < buffer.byteLength; ) {
    const n = view.getUint32(i + 1, true);
    const bytes = new Uint8Array(buffer, i + 5, n);
    const data = view.getUint8(i) ? bytes.slice().buffer : decoder.decode(bytes);
    list.push(new MessageEvent("message", { data }));
    i += 5 + n;
  }
  return list;
}

/** Takes the place of WebSocket: opens at once, and is fed by hand. */
export class FakeSocket {
  static last;
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor() {
    FakeSocket.last = this;
  }

  send() {}

  close() {
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen(new Event("open"));
  }
}

/**
 * Counts events, and sums up something of their payloads, so that nobody can
 * leave work undone unnoticed.
 */
export function tally() {
  const t = {
    count: 0,
    sum: 0,
    see(d) {
      t.count++;
      t.sum = (t.sum * 31 + (d.id ?? d.guild_id ?? "").length + (d.content?.length ?? 0) + (d.author?.username.length ?? 0)) | 0;
    },
  };
  return t;
}
