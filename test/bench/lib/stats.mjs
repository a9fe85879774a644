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
 * Compares by all that was used: the CPU time of a process with several threads is
 * not only made longer by what else happens, but shorter, too, where wake-ups happen
 * to fall together, so that the least of it is luck. Blocks are measured in different
 * processes; the spread is from the least to the greatest of their ratios.
 */
export function totals(blocks) {
  const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
  const ours = mean(blocks.flatMap((b) => b.ours));
  const peer = mean(blocks.flatMap((b) => b.peer));
  const ratios = blocks.map((b) => mean(b.ours) / mean(b.peer));
  return { ours, peer, ratio: ours / peer, spread: [Math.min(...ratios), Math.max(...ratios)], rounds: blocks.flatMap((b) => b.ours).length };
}
