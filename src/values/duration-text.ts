const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const

const LONG_UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const

/** How long something has lasted, for people: whole units that have passed, such as `3 h`. */
export function passedDuration(seconds: number): string {
  const [unit, size] = LONG_UNITS.find(([, size]) => seconds >= size) ?? ['s', 1]
  return `${Math.max(0, Math.floor(seconds / size))} ${unit}`
}

/**
 * Formats a duration as in configuration files: the shortest exact text, `77m` and never a rounded
 * `1h`.
 * @param seconds a whole number
 */
export function formatDuration(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds > 0 && seconds % size === 0) ?? ['s', 1]
  return `${seconds / size}${unit}`
}
