const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const

/**
 * Formats a duration as in configuration files: the shortest exact text, `77m` and never a rounded
 * `1h`.
 * @param seconds a whole number
 */
export function formatDuration(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds > 0 && seconds % size === 0) ?? ['s', 1]
  return `${seconds / size}${unit}`
}
