import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import { passedDuration } from '../values/duration-text.ts'

/**
 * A key signs once relying parties know it.
 * @param key.since when it was first published
 * @throws Refused `key_too_new`
 */
export function assertKnown({
  kid,
  since,
  propagation,
  now,
}: {
  readonly kid: string
  readonly since: number
  readonly propagation: number
  readonly now: number
}): void {
  const safeAt = since + propagation
  if (now >= safeAt) return
  throw new Refused(
    'key_too_new',
    { kid, knownAt: safeAt },
    `Key ${kid} has been published for ${passedDuration(now - since)} of the ` +
      `${passedDuration(propagation)} that relying parties need: they are sure to know it from ` +
      `${toRfc3339(safeAt)}. Wait, or take the price of an earlier switch.`,
  )
}
