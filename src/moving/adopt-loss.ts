import { ImportIncomplete } from '../errors.ts'
import type { LeftOut } from '../import/imported-key.ts'
import type { ImportCode } from '../import/refusal.ts'
import type { RingFacts } from '../ring/lifecycle.ts'
import { oneLine, plainCell } from '../values/steering.ts'
import { revokedKids } from './adopt-presence.ts'

/** Tells which keys of the old system an import would lose. Pure. */

/** Reasons for which a key that was read is left out. */
export type LeftCode =
  /** The old system does not publish the key. */
  | 'key_disabled'
  /** The key is for encryption, and rings only sign. */
  | 'key_encrypts'
  /** No ring of the configuration has the key's algorithm. */
  | 'ring_missing'
  /** The key was revoked in the ring. */
  | 'key_revoked'

/** A key that is left out, and the reason. */
export interface LeftKey {
  /** Kid or alias if there is one, otherwise the place in the source. */
  readonly name: string
  readonly code: ImportCode | LeftCode
  readonly reason: string
}

/** A key that is left out, with what tells whether somebody misses it. */
export type Missed = LeftKey & Pick<LeftOut, 'kid' | 'isHarmless'>

/** Most keys that the message of a refusal names. */
const NAMED_MAX = 20

/**
 * Keys that relying parties may need and that nobody has given up: those that have no ring, and
 * those that cannot be read, because what the old system published must not end in silence. A key
 * that is here already, or was revoked here, needs no reading.
 * @param options.leave names or kids of the keys whose loss is accepted; a name may be written as a
 * terminal shows it
 */
export function lossesOf(
  left: readonly Missed[],
  { keys, events }: Pick<RingFacts, 'keys' | 'events'>,
  { leave = [] }: { readonly leave?: readonly string[] | undefined },
): readonly LeftKey[] {
  const known = new Set([...keys.map(({ kid }) => kid), ...revokedKids(events)])
  const isGivenUp = (text: string) => leave.includes(text) || leave.includes(plainCell(text))
  return left
    .filter(({ kid, isHarmless }) => !isHarmless && !(kid !== undefined && known.has(kid)))
    .filter(({ name, kid = name }) => !isGivenUp(name) && !isGivenUp(kid))
    .map(leftKey)
}

/** The stable fields of a key that is left out. */
export function leftKey({ name, code, reason }: LeftKey): LeftKey {
  return { name, code, reason }
}

/**
 * Refuses an import that would lose keys.
 * @throws ImportIncomplete with the code of all losses if it is the same
 */
export function assertNothingLost({ lost }: { readonly lost: readonly LeftKey[] }): void {
  if (lost.length === 0) return
  const named = lost.slice(0, NAMED_MAX)
  const reasons = named.map(
    ({ name, code, reason }) => `${plainCell(name)} (${code}): ${plainCell(oneLine(reason))}`,
  )
  const others = lost.length - named.length
  const more = others === 0 ? '' : ` The same holds for ${others} more.`
  throw new ImportIncomplete(
    lost,
    'Nothing was added, because keys that the old system may publish would be lost, and relying parties could ' +
      `not verify what they signed. ${reasons.join(' ')}${more}`,
  )
}
