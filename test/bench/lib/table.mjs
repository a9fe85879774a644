// Tables, for terminals and for the report.

/** A number in three digits or so. */
export function short(x, unit = "") {
  if (x === undefined || x === null || Number.isNaN(x)) return "";
  const abs = Math.abs(x);
  const text = abs >= 100 || Number.isInteger(x) ? String(Math.round(x)) : abs >= 10 ? x.toFixed(1) : abs >= 0.1 || abs === 0 ? x.toFixed(2) : x.toFixed(3);
  return unit ? `${text} ${unit}` : text;
}

/** Whether a row misses what it must reach. */
export const missed = (row) => row.must !== undefined && row.ratio > row.must;

const verdict = (row) => {
  if (row.must === undefined && row.aim === undefined) return "";
  if (missed(row)) return "MISSES MUST";
  if (row.aim === undefined) return "must";
  return row.ratio > row.aim ? "must" : "aim";
};

/**
 * The cells of rows { name, ours, peer, unit, against, ratio, spread, must, aim, note }.
 * The last column says what is reached.
 */
export function cells(rows) {
  const head = ["what", "ours", "peer", "against", "ratio", "spread", "must", "aim", "reached"];
  return [
    head,
    ...rows.map((r) => [
      r.name,
      short(r.ours, r.unit),
      short(r.peer, r.unit),
      r.against ?? "",
      r.ratio === undefined ? "" : r.ratio.toFixed(r.ratio < 0.1 ? 3 : 2),
      r.spread ? `${short(r.spread[0])}–${short(r.spread[1])}` : "",
      r.must === undefined ? "" : `≤ ${r.must}`,
      r.aim === undefined ? "" : `≤ ${r.aim}`,
      verdict(r),
    ]),
  ];
}

/** Lines of text with columns in line; the columns that are empty are left out. */
export function text(all) {
  const used = all[0].map((_, i) => all.slice(1).some((line) => line[i] !== ""));
  const lines = all.map((line) => line.filter((_, i) => used[i]));
  const width = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines.map((line) => "  " + line.map((cell, i) => (i === 0 ? cell.padEnd(width[i]) : cell.padStart(width[i]))).join("  ")).join("\n");
}

export function markdown(all) {
  const used = all[0].map((_, i) => all.slice(1).some((line) => line[i] !== ""));
  const lines = all.map((line) => line.filter((_, i) => used[i]));
  const bold = (cell) => (cell === "MISSES MUST" ? "**misses must**" : cell);
  return [lines[0], lines[0].map((_, i) => (i === 0 ? ":--" : "--:")), ...lines.slice(1)].map((line) => `| ${line.map(bold).join(" | ")} |`).join("\n");
}
