/** A waiting time in words. @example inWords(61) // 'in 2 minutes' */
export function inWords(seconds: number): string {
  if (seconds < 60) return 'in a moment'
  const minutes = Math.ceil(seconds / 60)
  return minutes === 1 ? 'in a minute' : `in ${minutes} minutes`
}
