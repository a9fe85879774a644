// The messages that are measured with: written by ../corpus, and here made into
// zlib streams by node's zlib, with which real servers make them.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants, createDeflate } from "node:zlib";
import { bin, work } from "./env.mjs";

/** The frames of a file: { binary, data }. */
export function* frames(file) {
  const all = readFileSync(file);
  for (let i = 0; i < all.length; ) {
    const n = all.readUInt32LE(i + 1);
    yield { binary: all[i] === 1, data: all.subarray(i + 5, i + 5 + n) };
    i += 5 + n;
  }
}

/** Writes the messages of a JSON corpus as frames of one zlib stream, flushed after each. */
function deflate(from, to) {
  // node has this for its deflateSync. By the public way every message takes two
  // trips through a thread, which makes minutes of seconds. It means to be used
  // once, and would end the stream.
  const stream = createDeflate({ chunkSize: 1 << 16 });
  const handle = stream._handle;
  const close = handle.close.bind(handle);
  handle.close = () => {};
  const out = [];
  for (const { data } of frames(from)) {
    stream._handle = handle;
    stream.removeAllListeners("error"); // it adds one each time
    const packed = Buffer.from(stream._processChunk(data, constants.Z_SYNC_FLUSH)); // a copy: it writes to the same place again
    const head = Buffer.alloc(5);
    head[0] = 1;
    head.writeUInt32LE(packed.length, 1);
    out.push(head, packed);
  }
  close();
  writeFileSync(to, Buffer.concat(out));
}

/** Writes all corpora, and returns what is known of each by its name. */
export function corpora() {
  execFileSync(bin("benchcorpus"), ["-out", work]);
  const meta = {};
  for (const file of readdirSync(work)) {
    const name = /^(.*)-json\.frames$/.exec(file)?.[1];
    if (!name) continue;
    meta[name] = JSON.parse(readFileSync(`${work}${name}.json`, "utf8"));
    if (existsSync(`${work}${name}-zstdframes.frames`)) deflate(`${work}${file}`, `${work}${name}-zlib.frames`);
  }
  return meta;
}
