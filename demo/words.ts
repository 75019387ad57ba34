/** A duration in words: `1 min 20 s`. */
export function inWords(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`
  if (minutes > 0) return rest > 0 ? `${minutes} min ${rest} s` : `${minutes} min`
  return `${rest} s`
}

/** The time of day, in UTC: `14:02:09`. */
export function timeOfDay(at: number): string {
  return new Date(at * 1000).toISOString().slice(11, 19)
}
