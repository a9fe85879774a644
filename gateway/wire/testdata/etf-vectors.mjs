// Writes etf-vectors.jsonl: terms as the ETF packers of JavaScript make them.
// See README.md. Usage, in a directory where the packers are installed:
//   node etf-vectors.mjs > etf-vectors.jsonl
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const packers = ["erlpack@0.1.4", "@yukikaze-bot/erlpack@1.0.1", "etf.js@1.0.1", "erlpackjs@1.0.1"];

const values = [
  null, true, false, 0, 1, 255, 256, -1, -5, 65536, 2147483647, -2147483648, 2147483648, -2147483649, 4294967295, 4294967296,
  1099511627776, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 875069521787904,
  0.5, -0.5, 1.5, 3.141592653589793, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, NaN, Infinity,
  "", "a", "snowflake", "1574334091996799013", 'quote" back\\slash / \b\f\n\r\t\u0000\u001f', "ümlaut 日本 😀 \u2028",
  "x".repeat(300), [], {}, [[]], [{}], [1, 2, 3], ["a", null, true, 1.5, -300], [[[[[["deep"]]]]]],
  { "": 0 }, { a: undefined, b: null }, { 'key with "': { ü: 1 } },
  { op: 10, d: { heartbeat_interval: 41250, _trace: ['["gateway-prd",{"micros":0.0}]'] } },
  { op: 1, d: null }, { op: 1, d: 251 }, { op: 11, d: {} },
  { op: 0, t: "MESSAGE_CREATE", d: { id: "1574334091996799013", content: 'hello "world" 😀', mentions: [], author: { id: "1574334091996799012", bot: false, avatar: null }, nonce: "5" }, s: 77 },
  { op: 2, d: { token: "TOKEN", capabilities: 16381, properties: { os: "Linux", browser: "x" }, presence: { status: "online", since: 0, activities: [], afk: false }, compress: false } },
  { op: 0, t: "X", s: 300, d: { application_command_counts: { 1: 0, 2: 5, 3: 2 } } },
];

const has = (v, test) => test(v) || (v && typeof v === "object" && Object.values(v).some((x) => has(x, test)));

// What a packer is known to get wrong is left out.
const wrong = {
  "etf.js@1.0.1": (x) => typeof x === "number" && x !== (x | 0), // floats with their bytes reversed
  "erlpackjs@1.0.1": (x) => typeof x === "number" && x < 0, // small ones without their sign
  "@yukikaze-bot/erlpack@1.0.1": (x) => x && typeof x === "object" && "" in x, // an empty key as the integer 0
};

for (const packer of packers) {
  const { pack } = require(packer.slice(0, packer.lastIndexOf("@")));
  for (const value of values) {
    if (wrong[packer] && has(value, wrong[packer])) continue;
    const etf = Buffer.from(pack(value)).toString("hex");
    const json = JSON.stringify(value, (_, x) => (x === undefined ? null : x));
    console.log(JSON.stringify({ packer, etf, json }));
  }
}
