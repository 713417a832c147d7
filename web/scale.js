// What an axis of values spans.

const FILLED = 0.55;
const MARGIN = 0.08;
/** Of a value's own size: less than that, and the steps of an axis are lost in its last digits. */
const FINEST = 1e-12;

/**
 * It holds still while it suits, so that lines do not dance.
 * @param {number} low of what is shown
 * @param {number} high
 * @param {[number, number]} [known] what it spans now
 * @returns {[number, number]}
 */
export function scaleRange(low, high, known) {
  if (!(low <= high) || !Number.isFinite(high - low)) return known ?? [0, 1];
  const size = Math.max(Math.abs(low), Math.abs(high));
  const extent = high > low ? Math.max(high - low, size * FINEST) : size * 0.1 || 1;
  const isInside = known && low >= known[0] && high <= known[1];
  if (isInside && extent >= (known[1] - known[0]) * FILLED) return known;
  return [low - extent * MARGIN, high + extent * MARGIN];
}
