// What is checked of a payload before it is sent: a Spacebar server closes the
// connection on a field that is missing, mistyped, out of range or unknown. The
// Go library refuses the same (gateway/testdata/sends.json holds the two to it).

import { describe, PayloadError } from "./errors.js";
import { sendRules, type SendName } from "./protocol.gen.js";

const TYPES: Record<string, [what: string, is: (v: unknown) => boolean]> = {
  s: ["a string", (v) => typeof v === "string"],
  f: ["an id, as a string of digits", isSnowflake],
  F: ["an id or an array of ids, as strings of digits", (v) => (Array.isArray(v) ? v.every(isSnowflake) : isSnowflake(v))],
  A: ["an array of ids, as strings of digits", (v) => Array.isArray(v) && v.every(isSnowflake)],
  i: ["a whole number", (v) => Number.isSafeInteger(v)],
  n: ["a number", (v) => typeof v === "number" && Number.isFinite(v)],
  b: ["true or false", (v) => typeof v === "boolean"],
  a: ["an array", Array.isArray],
  o: ["an object", (v) => typeof v === "object" && v !== null && !Array.isArray(v)],
  z: ["null", (v) => v === null],
  x: ["anything", (v) => v !== undefined],
};

function isSnowflake(v: unknown): boolean {
  return typeof v === "string" && /^\d{1,20}$/.test(v) && BigInt(v) < 1n << 64n;
}

type Fields = Record<string, unknown>;

/** The rules that concern more than one field: what is wrong with which field, if anything is. */
const CHECKS: { readonly [N in SendName]?: (p: Fields) => [field: string, why: string] | false } = {
  identify({ shard }) {
    if (shard === undefined) return false;
    const [id, count] = shard as unknown[];
    const right = (shard as unknown[]).length === 2 && Number.isSafeInteger(id) && Number.isSafeInteger(count) && (id as number) >= 0 && (id as number) < (count as number);
    return !right && ["shard", "must be a number of a shard and the greater number of shards"];
  },
  requestGuildMembers({ query, user_ids, limit }) {
    if (query === undefined && user_ids === undefined) return ["query", "is missing, and so is user_ids"];
    if (query !== undefined && user_ids !== undefined) return ["query", "excludes user_ids"];
    return query !== undefined && limit === undefined && ["limit", "is missing, which a query needs"];
  },
};

/** Throws a PayloadError for the first thing about a payload that a server would not take. */
export function validate(name: SendName, payload: unknown): void {
  const rules = sendRules[name];
  if (typeof rules === "string") {
    checkValue(name, "", rules, payload);
    if (Array.isArray(payload) && payload.length === 0) throw new PayloadError(name, "", "is empty");
    return;
  }
  checkValue(name, "", "o", payload);
  const fields = payload as Fields;
  for (const key of Object.keys(fields)) {
    if (fields[key] !== undefined && !Object.hasOwn(rules, key)) {
      throw new PayloadError(name, key, "is no field of it, and servers close the connection on unknown ones; use send(op, payload) to send it nevertheless");
    }
  }
  for (const [key, rule] of Object.entries(rules)) checkValue(name, key, rule, fields[key]);
  const wrong = CHECKS[name]?.(fields);
  if (wrong) throw new PayloadError(name, ...wrong);
}

function checkValue(name: string, key: string, rule: string, value: unknown): void {
  const refuse = (why: string) => new PayloadError(name, key, why);
  if (value === undefined) {
    if (rule.includes("?") || rule === "z") return;
    throw refuse("is missing");
  }
  if (value === null && rule.includes("|")) return;
  const [what, is] = TYPES[rule[0]!]!;
  if (!is(value)) throw refuse(`must be ${what}, not ${value === null ? "null" : Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : key === "token" ? `a ${typeof value}` : describe(value)}`);
  const length = typeof value === "string" ? bytes(value) : Array.isArray(value) ? value.length : undefined;
  if (rule.includes("!") && (length === 0 || (rule[0] === "f" && /^0+$/.test(value as string)))) throw refuse("is missing");
  const bounds = /(\d*)\.\.(\d*)$/.exec(rule);
  if (!bounds) return;
  const size = typeof value === "number" ? value : length;
  const unit = typeof value === "string" ? " bytes" : Array.isArray(value) ? " elements" : "";
  if (size === undefined) return;
  if (bounds[1] && size < Number(bounds[1])) throw refuse(`must be at least ${bounds[1]}${unit}`);
  if (bounds[2] && size > Number(bounds[2])) throw refuse(`must be at most ${bounds[2]}${unit}`);
}

/** How long a text is on the wire. */
const bytes = (text: string) => new TextEncoder().encode(text).length;
