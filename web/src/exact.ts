// Integers that a JavaScript number cannot hold, which JSON.parse would round.

/**
 * Whether the JSON text from `start` to `end` may hold an integer of 16 digits or
 * more outside strings, which JSON.parse would round: `exact` then makes it a
 * string. Every such run of digits covers one of any 16 indices in a row that it
 * begins at or before, so only each sixteenth is looked at, counted from where one
 * could begin. Nearly all digits that are found stand in a string: they do if the next
 * quote closes one, that is, if it is not behind a comma, a colon, an opening bracket or
 * white space, as one that opens a string always is.
 */
export function hasBigInt(text: string, start: number, end: number): boolean {
  let quote = -1;
  for (let i = start + 15; i < end; i += 16) {
    if ((text.charCodeAt(i) - 48) >>> 0 > 9) continue;
    if (quote < i) {
      quote = text.indexOf('"', i);
      if (quote < 0) quote = text.length;
    }
    let c = text.charCodeAt(quote - 1);
    if (c > 32 && c !== 44 && c !== 58 && c !== 91 && c !== 123 && quote < end) {
      i = quote + 1; // what is next begins behind a comma or a colon
      continue;
    }
    let from = i;
    do c = text.charCodeAt(--from);
    while (c >= 48 && c <= 57);
    const quoted = c === 34;
    let to = i;
    do c = text.charCodeAt(++to);
    while (c >= 48 && c <= 57);
    if (to - from > 16 && !quoted) return true;
    i = to; // or long ones would be looked at for ever
  }
  return false;
}

/** hasBigInt for a text that is at hand as bytes, which are faster to look at. */
export function hasBigIntBytes(text: Uint8Array, start: number, end: number): boolean {
  for (let i = start + 15; i < end; i += 16) {
    let c = text[i]!;
    if (c < 48 || c > 57) continue;
    let from = i;
    do c = text[--from]!;
    while (c >= 48 && c <= 57);
    const quoted = c === 34;
    if (quoted && i - from < 64) continue; // a snowflake, nearly always
    let to = i;
    do c = text[++to]!;
    while (c >= 48 && c <= 57);
    if (to - from > 16 && !quoted) return true;
    i = to;
  }
  return false;
}

/**
 * A JSON text in which the integers that a number cannot hold are strings.
 * Servers that write such numbers lose nothing. It takes time in proportion to
 * the text, whatever that is: a regular expression for whole strings would run out
 * of stack.
 */
export function exact(text: string): string {
  if (!hasBigInt(text, 0, text.length)) return text;
  const token = /"|-?\d[\d.eE+-]*/g;
  let out = "";
  let done = 0;
  for (let found; (found = token.exec(text)) !== null; ) {
    const [word] = found;
    if (word === '"') {
      let end = found.index;
      do end = text.indexOf('"', end + 1);
      while (end > 0 && isEscaped(text, end));
      if (end < 0) break;
      token.lastIndex = end + 1;
    } else if (word.length >= 16 && /^-?\d+$/.test(word) && !Number.isSafeInteger(Number(word))) {
      out += `${text.slice(done, found.index)}"${word}"`;
      done = token.lastIndex;
    }
  }
  return out + text.slice(done);
}

/** Whether the character at i of a string is behind an odd number of backslashes. */
function isEscaped(text: string, i: number): boolean {
  let from = i;
  while (text.charCodeAt(from - 1) === 92) from--;
  return (i - from) % 2 === 1;
}
