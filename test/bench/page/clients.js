// The clients that the package is compared with: what a good programmer writes
// by hand around WebSocket, JSON.parse and the decoders that npm has.

import * as erlpackjs from "erlpackjs";
import * as etfjs from "etf.js";
import * as fzstd from "fzstd";
import { Inflate } from "pako";

/**
 * A client of the kind every guide shows: it decodes the message, keeps the
 * number and calls the handlers of the event, which a Map knows by name.
 */
export function client(decode) {
  const handlers = new Map();
  let seq = -1;
  return {
    handlers,
    onmessage(event) {
      const message = decode(event.data);
      if (message === undefined || message.op !== 0) return;
      if (typeof message.s === "number") seq = message.s;
      const list = handlers.get(message.t);
      if (list !== undefined) for (let i = 0; i < list.length; i++) list[i](message.d);
    },
  };
}

/** Joins the pieces of a message, of which there is one nearly always. */
function join(chunks) {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((n, c) => n + c.length, 0));
  let at = 0;
  for (const c of chunks) {
    all.set(c, at);
    at += c.length;
  }
  return all;
}

/** pako, one inflater for the connection, as discord.js fed it. */
function pako(chunkSize) {
  const inflate = new Inflate({ chunkSize });
  const text = new TextDecoder();
  let chunks = [];
  inflate.onData = (chunk) => chunks.push(chunk);
  return (data) => {
    const bytes = new Uint8Array(data);
    const n = bytes.length;
    const whole = n >= 4 && bytes[n - 4] === 0 && bytes[n - 3] === 0 && bytes[n - 2] === 255 && bytes[n - 1] === 255;
    inflate.push(bytes, whole ? 2 : 0); // Z_SYNC_FLUSH, Z_NO_FLUSH
    if (inflate.err) throw new Error(inflate.msg);
    if (!whole) return undefined;
    const message = JSON.parse(text.decode(join(chunks)));
    chunks = [];
    return message;
  };
}

/** fzstd where the connection is one stream. */
function fzstdStream() {
  const text = new TextDecoder();
  let chunks = [];
  const stream = new fzstd.Decompress((chunk) => chunks.push(chunk));
  return (data) => {
    stream.push(new Uint8Array(data));
    if (chunks.length === 0) return undefined;
    const message = JSON.parse(text.decode(join(chunks)));
    chunks = [];
    return message;
  };
}

/** fzstd where each message is a frame. */
function fzstdFrames() {
  const text = new TextDecoder();
  return (data) => JSON.parse(text.decode(fzstd.decompress(new Uint8Array(data))));
}

/** A decoder for one connection. */
export const decoders = {
  json: () => (data) => JSON.parse(data),
  // Each message gets an output of chunkSize bytes, so that a small one is best
  // for small messages and a large one for large.
  pako: () => pako(4 << 10),
  "pako, 64 KiB": () => pako(64 << 10),
  fzstd: fzstdStream,
  "fzstd, frames": fzstdFrames,
  "etf.js": () => (data) => etfjs.unpack(new Uint8Array(data)),
  erlpackjs: () => (data) => erlpackjs.unpack(new Uint8Array(data)),
};
