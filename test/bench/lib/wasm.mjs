// Reads of a WebAssembly binary what its parts weigh.

/** A reader of a binary's integers and names. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** An unsigned LEB128. */
  number() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const b = this.byte();
      value += (b & 127) * scale;
      if (b < 128) return value;
    }
  }

  take(n) {
    return this.bytes.subarray(this.at, (this.at += n));
  }

  name() {
    return Buffer.from(this.take(this.number())).toString();
  }
}

const SECTIONS = ["custom", "types", "imports", "functions", "tables", "memory", "globals", "exports", "start", "elements", "code", "data"];

/** { sections: Map(name → bytes), functions: [{ name, code }], data }. The binary must have its names. */
export function read(bytes) {
  const r = new Reader(bytes);
  r.at = 8;
  const sections = new Map();
  const bodies = [];
  const names = new Map();
  let imported = 0;
  let data;
  while (r.at < bytes.length) {
    const id = r.byte();
    const size = r.number();
    const section = new Reader(r.take(size));
    let title = SECTIONS[id] ?? `section ${id}`;
    if (id === 0) title = `custom: ${section.name()}`;
    sections.set(title, size);
    if (id === 2) imported = imports(section);
    if (id === 10) for (let n = section.number(); n > 0; n--) bodies.push(section.take(section.number()));
    if (id === 11) data = section.bytes;
    if (title === "custom: name") functionNames(section, names);
  }
  return { sections, data, functions: bodies.map((code, i) => ({ name: names.get(imported + i) ?? "?", code })) };
}

/** Counts the imported functions, of which Go imports nothing else. */
function imports(section) {
  const all = section.number();
  for (let n = all; n > 0; n--) {
    section.name();
    section.name();
    if (section.byte() !== 0) throw new Error("an import is no function");
    section.number();
  }
  return all;
}

function functionNames(section, names) {
  while (section.at < section.bytes.length) {
    const id = section.byte();
    const part = new Reader(section.take(section.number()));
    if (id === 1) for (let n = part.number(); n > 0; n--) names.set(part.number(), part.name());
  }
}

/**
 * Tells the Go package of a symbol. The linker writes names with an underscore
 * in the place of every letter but a few, so that it takes the list of packages
 * to read them.
 */
export function packages(paths) {
  const written = paths.map((path) => [path.replace(/[^\w.]/g, "_") + ".", path]).sort((a, b) => b[0].length - a[0].length);
  return (symbol) => {
    for (const [prefix, path] of written) if (symbol.startsWith(prefix)) return path;
    return "runtime, by the linker";
  };
}
