import type { PromotionPrice, RevocationPrice } from './price.ts'
import { duration } from './story.ts'

/** Prices in words for operators, from their numbers. Pure. */

/** Words for a duration that no time bounds. */
export function endlessInWords({
  endsBy,
}: {
  readonly endsBy: PromotionPrice['endsBy'] | RevocationPrice['endsBy']
}): string {
  if (endsBy === 'restart') return 'until it is restarted'
  return endsBy === 'pause' ? 'as long as its tokens come' : 'until its operator acts'
}

/** Words for the event that ends trust, and the time for which trust continues after it. */
export function endInWords({ endsBy, idleAfter, goesOnFor }: RevocationPrice): string {
  const restart = '; a restart ends it'
  const after = goesOnFor > 0 ? `${duration(goesOnFor)} after ` : ''
  if (endsBy === 'new kid') return `${after}the fresh key signs${after && restart}`
  if (endsBy === 'fetch') return `${after}it fetches${after && restart}`
  if (endsBy === 'request') return `${after}its first request past ${duration(idleAfter)}${restart}`
  if (endsBy === 'pause') return `no token of the key for ${duration(idleAfter)}${restart}`
  return endsBy === 'restart' ? 'it is restarted' : 'its operator acts'
}
