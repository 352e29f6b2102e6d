/** Returns the upper median, or NaN without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Returns the value below which the given share of the values lies, or NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Returns the slope of the straight line with the least squares through the points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const meanX = points.reduce((total, [x]) => total + x, 0) / points.length
  const meanY = points.reduce((total, [, y]) => total + y, 0) / points.length
  const products = points.reduce((total, [x, y]) => total + (x - meanX) * (y - meanY), 0)
  return products / points.reduce((total, [x]) => total + (x - meanX) ** 2, 0)
}
