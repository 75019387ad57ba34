import type { Clock } from '../clock.ts'

/** Seconds of a day. */
const DAY = 86_400

/** Most texts a day, more than operators would read; further ones are not logged. */
const MOST = 1000

/**
 * Decides whether a text was logged today, for events that clients cause again and again. Clients
 * can invent any number of texts, so at most `MOST` are logged a day.
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
