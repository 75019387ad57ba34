import { toRfc3339 } from '../clock.ts'
import type { Change, ChangeType } from '../ring/forecast.ts'
import type { KeyEvent } from '../ring/key.ts'
import { NEVER } from '../ring/key.ts'
import type { KeyState } from '../ring/lifecycle.ts'
import type { ManualStep } from '../ring/manual.ts'
import type { RingPolicy } from '../ring/policy.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { shellWord } from '../values/shell-word.ts'
import { givenWords } from '../witness/witness.ts'
import { instant, instantOrNull, span } from './words.ts'

/** Output of keys, events and changes in JSON and in words. */

/** The stable shape of `keys list --json`. */
export function keyRow(state: KeyState<RingKey>) {
  const { key, phase, activatesAt, retiresAt, unpublishAt } = state
  return {
    ring: key.ring,
    generation: key.generation,
    kid: key.kid,
    algorithm: key.algorithm,
    phase,
    createdAt: toRfc3339(key.createdAt),
    activatesAt: toRfc3339(activatesAt),
    retiresAt: instantOrNull(retiresAt),
    unpublishAt: instantOrNull(unpublishAt),
    protectedBy: key.protectedBy,
  }
}

/** The next change of a key, such as `signs from 2026-02-06T10:00:00Z (in 76 days)`. */
export function nextWords(state: KeyState, policy: RingPolicy, now: number): string {
  const { phase, activatesAt, retiresAt, unpublishAt, deleteAt, revokedAt } = state
  const at = (verb: string, time: number | null) =>
    time === null ? '' : `${verb} ${instant(time, now)}`
  switch (phase) {
    case 'pre-active':
      return activatesAt >= NEVER ? 'signs once it is promoted' : at('signs from', activatesAt)
    case 'active':
      if (!policy.configured) return 'signs nothing, because its ring is not configured'
      return at('retires', retiresAt) || 'retires when it has a successor'
    case 'retired':
      return at(policy.published ? 'leaves the JWKS' : 'verifies until', unpublishAt)
    case 'archived':
      return at('is deleted', deleteAt)
    case 'revoked':
      return `${at('was revoked', revokedAt)}, ${at('is deleted', deleteAt)}`
  }
}

const VERBS: Readonly<Record<ChangeType, string>> = {
  create: 'is made',
  promote: 'is promoted',
  extend: 'is kept longer',
  activate: 'becomes active',
  retire: 'retires',
  unpublish: 'leaves the JWKS',
  erase: 'loses its private half',
  delete: 'is deleted',
}

/** A change in words. @example changeWords(change, policy) // 'becomes active: as planned ...' */
export function changeWords({ type, reason }: Change, { published }: RingPolicy): string {
  const isHidden = type === 'unpublish' && !published
  return `${isHidden ? 'no longer verifies' : VERBS[type]}: ${reason}`
}

/** A key in words. @example keyWords(change) // 'generation 2 (B5kV3ooH...)' */
export function keyWords({ generation, kid }: Pick<Change, 'generation' | 'kid'>): string {
  return `generation ${generation}${kid === null ? '' : ` (${kid.slice(0, 8)}...)`}`
}

export function changeRow({ at, ring, generation, kid, type, reason, readers }: Change) {
  return { at: toRfc3339(at), ring, generation, kid, change: type, reason, readers }
}

export function stepRow({ ring, step, kid, at, reason }: ManualStep) {
  return { ring, step, kid, at: toRfc3339(at), reason }
}

/** Steps for rings that are rotated by hand, with their commands. */
export function stepsText(steps: readonly ManualStep[], now: number): string {
  return steps.map((step) => `  ${step.ring}\n    ${stepWords(step, now)}`).join('\n')
}

function stepWords({ ring, step, kid, at, reason }: ManualStep, now: number): string {
  const add = `keyturn keys add FILE --ring ${ring} --apply --as`
  const when = instant(at, now)
  switch (step) {
    case 'add-active':
      return `add a key: ${reason}. With: ${add} active`
    case 'add-standby':
      return `add a key by ${when}: ${reason}. With: ${add} standby`
    case 'promote':
      return `let key ${kid} sign from ${when}: ${reason}. With: keyturn keys promote ${shellWord(kid ?? '')}`
    case 'wait':
      return `key ${kid} leaves the JWKS at ${when}: ${reason}`
  }
}

export function eventRow(event: KeyEvent) {
  const { id, type, ring, at, reason, actor } = event
  return {
    at: toRfc3339(at),
    ring,
    type,
    kid: 'kid' in event ? event.kid : null,
    ...(event.type === 'promote' ? { activatesAt: toRfc3339(event.activatesAt) } : {}),
    ...(event.type === 'revoke-before' ? { createdBefore: toRfc3339(event.createdBefore) } : {}),
    ...(event.type === 'extend' ? { retention: event.retention } : {}),
    ...(event.type === 'valid-until' ? { validUntil: toRfc3339(event.validUntil) } : {}),
    ...(event.type === 'accept' ? { missing: event.missing } : {}),
    reason,
    actor,
    id,
  }
}

export function eventWords(event: KeyEvent): string {
  switch (event.type) {
    case 'promote':
      return `signs from ${toRfc3339(event.activatesAt)}`
    case 'revoke':
      return 'revoked'
    case 'revoke-before':
      return `all created before ${toRfc3339(event.createdBefore)} revoked`
    case 'extend':
      return `kept for ${span(event.retention)} after it retires`
    case 'valid-until':
      return `kept until its tokens have expired, ${toRfc3339(event.validUntil)}`
    case 'accept':
      return givenWords(event.missing)
  }
}
