import { toRfc3339 } from '../clock.ts'
import type { LeftKey } from '../moving/adopt-loss.ts'
import type { AdoptedKey, NextEvent } from '../moving/operate.ts'
import { NEVER } from '../ring/key.ts'
import { allStates, isPublished, type RingFacts } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { oneLine, plainCell } from '../values/steering.ts'
import { mending } from './advice.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'
import { counted, instant, instantOrNull, span } from './words.ts'

/** Output of imports in JSON and in words. */

/** The stable shape of `keys import --json`. */
export function importRow({ kid, thumbprint, ring, phase, publishedUntil, source }: AdoptedKey) {
  return { kid, thumbprint, ring, phase, publishedUntil: instantOrNull(publishedUntil), source }
}

export function nextRow({ ring, event, at, kid }: NextEvent) {
  return { ring, event, at: toRfc3339(at), kid }
}

export interface ShownImport {
  readonly keys: readonly AdoptedKey[]
  readonly left: readonly LeftKey[]
  readonly lost: readonly LeftKey[]
  readonly next: readonly NextEvent[] | undefined
  readonly applied: boolean
  readonly after: RingFacts
  readonly policies: RotationPolicies
  readonly now: number
}

export function importText(
  { keys, left, lost, next, applied, after, policies, now }: ShownImport,
  terminal: Pick<Context, 'colors' | 'columns'>,
): string {
  const rows = keys.map(({ ring, phase, kid, publishedUntil, source }) => {
    const until = publishedUntil === null ? '-' : instant(publishedUntil, now)
    return [ring, phase, kid, until, source]
  })
  const parts = [
    applied ? 'Done.' : 'This is a preview; nothing was written. To write it, add --apply.',
    table(['RING', 'PHASE', 'KID', 'PUBLISHED UNTIL', 'SOURCE'], rows, terminal),
    left.map(leftText).join('\n'),
    lostText(lost),
    (next ?? []).map((event) => nextText(event, now)).join('\n'),
    earlyText(after, policies, now),
    plannedText(after, policies, now),
    seenText(after, policies, now),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** On one line, since whoever names a key elsewhere must not write lines of this answer. */
function leftText({ name, code, reason }: LeftKey): string {
  return `Left     ${plainCell(name)} (${code}): ${plainCell(oneLine(reason))}`
}

/** The keys at which --apply stops, with what helps. */
function lostText(lost: readonly LeftKey[]): string {
  if (lost.length === 0) return ''
  const names = lost.map(({ name }) => plainCell(name)).join(', ')
  const ways = ['Mend what is said of each, or accept its loss with --leave', ...mending(lost)]
  return `--apply will refuse, because the old system may publish: ${names}. ${ways.join('. ')}`
}

const VERBS = { make: 'a key is made', switch: 'signs', leave: 'leaves the JWKS' } as const

function nextText({ ring, event, at, kid }: NextEvent, now: number): string {
  const what = event === 'make' ? VERBS.make : `${kid ?? 'the next key'} ${VERBS[event]}`
  return `Then     ${instant(at, now)} ${ring}: ${what}`
}

/** Warns about keys that will sign sooner than the policy of their ring demands. */
function earlyText(after: RingFacts, policies: RotationPolicies, now: number): string {
  const early = allStates(after, policies, now).flatMap(({ phase, key, activatesAt }) => {
    const { propagation } = policies.policyFor(key.ring)
    const published = activatesAt - key.createdAt
    if (phase !== 'pre-active' || published >= propagation) return []
    return (
      `Key ${key.kid} will sign when the old system had planned, after ${span(published)} in the JWKS; keys of ` +
      `Keyturn wait ${span(propagation)} (rotation.propagation).`
    )
  })
  return early.join('\n')
}

/** Notes keys that sign as long as the old system planned instead of the policy's cryptoperiod. */
function plannedText(after: RingFacts, policies: RotationPolicies, now: number): string {
  const states = allStates(after, policies, now)
  const planned = states.flatMap(({ phase, key: { kid, ring, signsUntil } }) => {
    const next = states.some((other) => other.phase === 'pre-active' && other.key.ring === ring)
    if (phase !== 'active' || signsUntil === undefined || signsUntil <= now || next) return []
    return (
      `Key ${kid} signs until ${toRfc3339(signsUntil)}, as the old system had planned; keys of Keyturn sign for ` +
      `${span(policies.policyFor(ring).cryptoperiod)} (rotation.cryptoperiod).`
    )
  })
  return planned.join('\n')
}

/** The published keys after the import, in one line. */
function seenText(after: RingFacts, policies: RotationPolicies, now: number): string {
  const states = allStates(after, policies, now).filter(
    (state) => isPublished(state) && policies.policyFor(state.key.ring).published,
  )
  const words = states.map(({ key: { kid, ring }, phase, activatesAt, unpublishAt }) => {
    if (phase === 'active') return `${kid} signs (${ring})`
    if (phase === 'retired') return `${kid} until ${instantOrNull(unpublishAt)}`
    return activatesAt >= NEVER
      ? `${kid} waits`
      : `${kid} signs from ${toRfc3339(activatesAt)} (${ring})`
  })
  return `Relying parties will see ${counted(states.length, 'key')}: ${words.join('; ') || 'none'}.`
}
