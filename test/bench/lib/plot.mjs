// Small plots, as SVG that can be read as text.

const W = 640;
const H = 340;
const LEFT = 64;
const RIGHT = 150;
const TOP = 34;
const BOTTOM = 44;
const COLOURS = ["#4f46e5", "#0d9488", "#d97706", "#dc2626", "#64748b", "#9333ea"];

const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
const tick = (x) => (x >= 1e6 ? `${x / 1e6} M` : x >= 1e3 ? `${x / 1e3} k` : String(Number(x.toPrecision(3))));

/** An axis: its place for a value, and its ticks. */
function axis(values, log, from, to, zero) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (log) {
    if (!(low > 0)) throw new RangeError(`plot: ${low} has no place on a logarithmic axis`);
    low = 10 ** Math.floor(Math.log10(low) + 1e-9);
    high = 10 ** Math.ceil(Math.log10(high) - 1e-9);
    if (high === low) high = low * 10;
    const ticks = [];
    for (let t = low; t <= high * 1.001; t *= 10) ticks.push(t);
    return { at: (v) => from + ((Math.log10(v) - Math.log10(low)) / (Math.log10(high) - Math.log10(low))) * (to - from), ticks };
  }
  if (zero) low = 0;
  const step = [1, 2, 2.5, 5, 10].map((m) => m * 10 ** Math.floor(Math.log10((high - low) / 4 || 1))).find((s) => (high - low) / s <= 6);
  high = Math.ceil(high / step) * step;
  low = Math.floor(low / step) * step;
  const ticks = [];
  for (let t = low; t <= high + step / 2; t += step) ticks.push(Number(t.toPrecision(6)));
  return { at: (v) => from + ((v - low) / (high - low || 1)) * (to - from), ticks };
}

/** The SVG of { title, x, y, logX, logY, series: [{ name, points: [[x, y], …] }] }. */
export function plot({ title, x, y, logX = false, logY = false, series }) {
  const points = series.flatMap((s) => s.points);
  const across = axis(points.map((p) => p[0]), logX, LEFT, W - RIGHT, true);
  const up = axis(points.map((p) => p[1]), logY, H - BOTTOM, TOP, true);
  const r = (v) => v.toFixed(1);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" font-family="system-ui, sans-serif" font-size="11" fill="#334155">`,
    `<rect width="${W}" height="${H}" fill="#fff"/>`,
    `<text x="${LEFT}" y="18" font-size="13" font-weight="600">${escape(title)}</text>`,
  ];
  for (const t of across.ticks) {
    out.push(`<path d="M${r(across.at(t))} ${TOP}V${H - BOTTOM}" stroke="#e2e8f0"/>`, `<text x="${r(across.at(t))}" y="${H - BOTTOM + 15}" text-anchor="middle">${tick(t)}</text>`);
  }
  for (const t of up.ticks) {
    out.push(`<path d="M${LEFT} ${r(up.at(t))}H${W - RIGHT}" stroke="#e2e8f0"/>`, `<text x="${LEFT - 6}" y="${r(up.at(t) + 4)}" text-anchor="end">${tick(t)}</text>`);
  }
  out.push(
    `<text x="${(LEFT + W - RIGHT) / 2}" y="${H - 8}" text-anchor="middle">${escape(x)}</text>`,
    `<text x="14" y="${(TOP + H - BOTTOM) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(TOP + H - BOTTOM) / 2})">${escape(y)}</text>`,
  );
  series.forEach((s, i) => {
    const colour = COLOURS[i % COLOURS.length];
    out.push(`<polyline fill="none" stroke="${colour}" stroke-width="1.8" points="${s.points.map((p) => `${r(across.at(p[0]))},${r(up.at(p[1]))}`).join(" ")}"/>`);
    if (s.points.length < 40) for (const p of s.points) out.push(`<circle cx="${r(across.at(p[0]))}" cy="${r(up.at(p[1]))}" r="2.4" fill="${colour}"/>`);
    const line = TOP + 10 + i * 18;
    out.push(`<path d="M${W - RIGHT + 12} ${line - 4}h16" stroke="${colour}" stroke-width="3"/>`, `<text x="${W - RIGHT + 33}" y="${line}">${escape(s.name)}</text>`);
  });
  return `${out.join("\n")}\n</svg>\n`;
}
