export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** @param q such as 0.99 for p99. Uses the nearest rank; NaN for an empty list. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  if (q === 0.5 && sorted.length % 2 === 0) {
    const half = sorted.length / 2
    return ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2
  }
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN
}
