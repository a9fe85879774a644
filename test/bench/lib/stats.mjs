// What is made of repeated measurements on a machine that others use, too.

/** A quantile of numbers, between neighbours where it falls between. */
export function quantile(numbers, q) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

export const median = (numbers) => quantile(numbers, 0.5);

/**
 * Compares two lists of measurements made in turns. Whatever else runs on the
 * machine can only make a measurement longer, so the lists are cut into blocks
 * and the shortest of each block is taken. The ratio is the median of the blocks'
 * ratios; the spread is from the least to the greatest of them.
 */
export function compare(ours, peer, blocks = Math.min(5, ours.length)) {
  const block = (list, i) => Math.min(...list.slice(Math.floor((i * list.length) / blocks), Math.floor(((i + 1) * list.length) / blocks)));
  const least = Array.from({ length: blocks }, (_, i) => [block(ours, i), block(peer, i)]);
  const ratios = least.map(([a, b]) => a / b);
  return { ours: median(least.map(([a]) => a)), peer: median(least.map(([, b]) => b)), ratio: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)], rounds: ours.length };
}

/**
 * Compares turns that were measured in several pages or processes: what a client
 * pays for its garbage, and for threads that wake each other, comes and goes from turn
 * to turn, and the shortest is luck. Of each page the median turn counts; the ratio
 * is that of their sums, the spread from the least to the greatest of the pages'.
 */
export function typical(pages) {
  const each = pages.map((p) => ({ ours: median(p.ours), peer: median(p.peer) }));
  const mean = (who) => each.reduce((sum, p) => sum + p[who], 0) / each.length;
  const ratios = each.map((p) => p.ours / p.peer);
  const [ours, peer] = [mean("ours"), mean("peer")];
  return { ours, peer, ratio: ours / peer, spread: [Math.min(...ratios), Math.max(...ratios)], rounds: pages.flatMap((p) => p.ours).length };
}
