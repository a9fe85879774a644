// web/src/exact.ts: integers that a number cannot hold.
//
//   node --test test/node/exact.test.mjs     after ./build.sh test has built it once

import assert from "node:assert/strict";
import { test } from "node:test";
import { exact, hasBigInt, hasBigIntBytes } from "../../build/test/exact.mjs";
import { random } from "./random.mjs";

const NUMBERS = ["0", "7", "-12", "1.5", "1e21", "123456789012345.25", "9007199254740991", "-9007199254740991", "1234567890123456", "12345678901234567.0", "1.2345678901234567890"];
const BIG = ["9007199254740993", "-9007199254740993", "12345678901234567", "1456429976931798888", "-1456429976931798888", "123456789012345678901234567890"];
const TEXTS = ['""', '"1456429976931798888"', '"2026-01-01T23:32:45.661Z"', '"x 12345678901234567890"', '"12345678901234567890:"', '"1,2,3,12345678901234567890,"', '"a \\"12345678901234567890\\" b"', '"12345678901234567890\\\\"', `"${"8".repeat(70)}"`, `"${"8".repeat(200)}: "`, '"{[12345678901234567890"', '"é 12345678901234567890 €"', "null", "true"];

/** A JSON text, and the same with every big integer a string. */
function make(roll, depth) {
  const pick = (list) => list[Math.floor(roll() * list.length)];
  const space = () => (roll() < 0.1 ? pick([" ", "\n", "  "]) : "");
  const kind = roll();
  if (depth === 0 || kind < 0.6) {
    if (roll() < 0.06) {
      const n = pick(BIG);
      return [n, `"${n}"`];
    }
    const t = pick(roll() < 0.5 ? NUMBERS : TEXTS);
    return [t, t];
  }
  const parts = Array.from({ length: Math.floor(roll() * 6) }, () => make(roll, depth - 1));
  const gaps = parts.map(() => [space(), space(), space()]);
  const keys = parts.map(() => pick(['"a"', '"12345678901234567890"', '"key with, 17:"']));
  const join = (n) => parts.map((p, i) => gaps[i][0] + (kind < 0.8 ? "" : keys[i] + gaps[i][1] + ":" + gaps[i][2]) + p[n] + gaps[i][1]).join(",");
  return [0, 1].map((n) => (kind < 0.8 ? `[${join(n)}]` : `{${join(n)}}`));
}

test("big integers become strings, and nothing else changes", () => {
  let big = 0;
  for (let seed = 0; seed < 20_000; seed++) {
    const [text, want] = make(random(seed), 4);
    JSON.parse(text);
    assert.equal(exact(text), want, `seed ${seed}`);
    if (text === want) continue;
    big++;
    // From wherever one looks, and in either form.
    const bytes = new TextEncoder().encode(text);
    assert.ok(hasBigIntBytes(bytes, 0, bytes.length), `seed ${seed}, as bytes`);
    const padded = `{"d":${text},"s":12}`;
    assert.ok(hasBigInt(padded, 5, padded.length - 8), `seed ${seed}, as a payload`);
  }
  assert.ok(big > 1000, `${big} texts with big integers`);
});

test("a plain message is seen to have none", () => {
  const text = '{"id":"1456429976931798888","author":{"id":"1456260671078400200","flags":0},"timestamp":"2026-01-01T23:32:45.661Z","nonce":"12","mentions":[],"n":[1,2,3.5,-4]}';
  const bytes = new TextEncoder().encode(text);
  for (let i = 0; i < 32; i++) {
    assert.equal(hasBigInt(text, i, text.length), false);
    assert.equal(hasBigIntBytes(bytes, i, bytes.length), false);
  }
});

test("hostile texts take time in proportion to their length", () => {
  // Were it the square of that, this would take hours.
  const n = 1 << 22;
  for (const text of [`[${"1,".repeat(n / 2)}1]`, `"${"1".repeat(n)}:"`, `"x${"1".repeat(n)}:"`, `["${"\\".repeat(n)}"]`, `[${'"1234567890123456:",'.repeat(n / 16)}1]`]) {
    assert.equal(exact(text), text);
    hasBigIntBytes(new TextEncoder().encode(text), 0, text.length);
  }
});
