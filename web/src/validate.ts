// What is checked of a payload before it is sent: a Spacebar server closes the
// connection on a field that is missing, mistyped, out of range or unknown.

import { describe, fail } from "./errors.js";
import { sendRules, type SendName } from "./protocol.gen.js";

const TYPES: Record<string, [what: string, is: (v: unknown) => boolean]> = {
  s: ["a string", (v) => typeof v === "string"],
  f: ["an id, as a string of digits", isSnowflake],
  F: ["an id or an array of ids, as strings of digits", (v) => (Array.isArray(v) ? v.every(isSnowflake) : isSnowflake(v))],
  i: ["a whole number", (v) => Number.isSafeInteger(v)],
  n: ["a number", (v) => typeof v === "number" && Number.isFinite(v)],
  b: ["true or false", (v) => typeof v === "boolean"],
  a: ["an array", Array.isArray],
  o: ["an object", (v) => typeof v === "object" && v !== null && !Array.isArray(v)],
  z: ["null", (v) => v === null],
  x: ["anything", (v) => v !== undefined],
};

function isSnowflake(v: unknown): boolean {
  return typeof v === "string" && /^\d{1,20}$/.test(v);
}

/** Throws "invalid_payload" for the first thing about a payload that a server would not take. */
export function validate(name: SendName, payload: unknown): void {
  const rules = sendRules[name];
  if (typeof rules === "string") {
    checkValue(name, "the payload", rules, payload);
    return;
  }
  checkValue(name, "the payload", "o", payload);
  const fields = payload as Record<string, unknown>;
  for (const key of Object.keys(fields)) {
    if (fields[key] !== undefined && !Object.hasOwn(rules, key)) {
      throw fail("invalid_payload", `cannot send ${name}: it has no field "${key}", and servers close the connection on unknown ones; use send(op, payload) to send it nevertheless`);
    }
  }
  for (const [key, rule] of Object.entries(rules)) checkValue(name, key, rule, fields[key]);
}

function checkValue(name: string, key: string, rule: string, value: unknown): void {
  const refuse = (why: string) => fail("invalid_payload", `cannot send ${name}: ${key} ${why}`);
  if (value === undefined) {
    if (rule.includes("?") || rule === "z") return;
    throw refuse("is missing");
  }
  if (value === null && rule.includes("|")) return;
  const [what, is] = TYPES[rule[0]!]!;
  if (!is(value)) throw refuse(`must be ${what}, not ${value === null ? "null" : Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : key === "token" ? `a ${typeof value}` : describe(value)}`);
  const length = typeof value === "string" || Array.isArray(value) ? value.length : undefined;
  if (rule.includes("!") && length === 0) throw refuse("is empty");
  const bounds = /(\d*)\.\.(\d*)$/.exec(rule);
  if (!bounds) return;
  const size = typeof value === "number" ? value : length;
  const unit = typeof value === "string" ? " characters" : Array.isArray(value) ? " elements" : "";
  if (size === undefined) return;
  if (bounds[1] && size < Number(bounds[1])) throw refuse(`must be at least ${bounds[1]}${unit}`);
  if (bounds[2] && size > Number(bounds[2])) throw refuse(`must be at most ${bounds[2]}${unit}`);
}
