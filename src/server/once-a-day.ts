import type { Clock } from '../clock.ts'

/** Seconds. */
const DAY = 86_400

/** More than operators would read in a day; what clients make up beyond is not remembered. */
const MOST = 1000

/**
 * Has this been told today? For the log of what clients do again and again, where the first line says
 * all. Clients make up as many texts as they like, so no more than `MOST` are told in a day.
 * @returns true once a day for each text
 */
export function createOnceADay(clock: Pick<Clock, 'elapsed'>): (text: string) => boolean {
  const told = new Set<string>()
  let since = clock.elapsed()
  return (text) => {
    const now = clock.elapsed()
    if (now - since >= DAY) {
      told.clear()
      since = now
    }
    if (told.has(text) || told.size >= MOST) return false
    told.add(text)
    return true
  }
}
