// How long a Go program takes to start.

import { collect } from "./rounds.js";
import { makeGo } from "../../../build/wasm_exec.mjs";

/** The bytes with a section that makes them differ from all before, so that nothing compiled is found again. */
function fresh(bytes) {
  const mark = crypto.getRandomValues(new Uint8Array(8));
  const copy = new Uint8Array(bytes.byteLength + 12);
  copy.set(new Uint8Array(bytes));
  copy.set([0, 10, 1, 120, ...mark], bytes.byteLength); // custom section "x"
  return copy;
}

/** Starts programs in turns: ms from their bytes until they run. */
export async function start({ ours, peer, rounds, warm }) {
  const load = async (url) => (await fetch(url)).arrayBuffer();
  const programs = { ours: await load(ours), peer: await load(peer) };
  const times = { ours: [], peer: [] };
  const compile = { ours: [], peer: [] };
  for (let r = -warm; r < rounds; r++) {
    for (const who of r % 2 ? ["ours", "peer"] : ["peer", "ours"]) {
      const bytes = fresh(programs[who]);
      // As in web/src/wasm.ts.
      let handed = false;
      let exited;
      const constants = { O_WRONLY: -1, O_RDWR: -1, O_CREAT: -1, O_TRUNC: -1, O_APPEND: -1, O_EXCL: -1, O_DIRECTORY: -1 };
      const scope = { Object, Array, Uint8Array, Error, crypto, performance, TextEncoder, TextDecoder, handOver: () => void (handed = true), fs: { constants, writeSync: (_, b) => b.length } };
      const go = makeGo(scope);
      go.exit = (code) => void (exited = code);
      collect("major");
      const t = performance.now();
      const { instance } = await WebAssembly.instantiate(bytes, go.importObject);
      const compiled = performance.now();
      void go.run(instance); // it returns when main is done, or waits
      const all = performance.now() - t;
      if (who === "ours" ? !handed || exited !== undefined : exited !== 0) throw new Error(`${who} did not start`);
      if (r >= 0) {
        times[who].push(all);
        compile[who].push(compiled - t);
      }
      await new Promise((resolve) => setTimeout(resolve, 300)); // the better compiler goes on in the background
    }
  }
  return { times, compile };
}
