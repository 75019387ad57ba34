import type { Node, Span } from './cluster.ts'
import type { Refusal } from './failures.ts'
import { lifetimeOf } from './held-set.ts'
import type { RpModel } from './model.ts'
import type { LastToken, NodeAnswer, Sightings } from './sightings.ts'

/** Stories of failures, event by event, in words for operators. */

export interface StoryEvent {
  /** Seconds since the epoch, true time. */
  readonly at: number
  readonly text: string
}

/**
 * Setting that would have to be longer, or rule that would have to be in force, to avoid the
 * failure.
 */
export type Cause = 'propagation' | 'retention' | 'ring age'

export interface Story {
  readonly cause: Cause
  readonly model: string
  /** Events in order of time; the last is the refusal. */
  readonly events: readonly StoryEvent[]
}

/** Story of a token that arrives before its key. */
export function tooEarly(
  model: RpModel,
  key: Sightings & { readonly firstSigner: Span },
  { delivery, answer, loadedAt, refusedAt }: Refusal,
  maxRingAge: number,
): Story {
  const { kid, bornAt, firstSigner } = key
  const { span, at, maxAge } = answer
  const isCached = delivery !== 'directly'
  const isKept = model.keeps === 'set' && loadedAt < refusedAt
  const keeps = lifetimeOf(model, maxAge)
  const time = keeps === Infinity ? 'until a kid is unknown' : `for ${duration(keeps)}`
  const got = isCached ? 'that copy from the HTTP cache' : 'that answer'
  const why = isKept ? 'its JWKS lacks that kid' : `it gets ${got}`
  const events = [
    ...cutOff(span),
    { at: bornAt, text: `key ${kid} is made and published` },
    {
      at,
      text:
        `${nodeWords(span.node)} answers ${isCached ? 'an HTTP cache' : 'the RP'} without ` +
        `${kid}${isCached ? `; max-age is ${duration(maxAge)}` : ''}`,
    },
    ...(isKept
      ? [{ at: loadedAt, text: `the RP (${model.name}) has ${got}, and keeps it ${time}` }]
      : []),
    { at: firstSigner.from, text: `${nodeWords(firstSigner.node)} signs with ${kid}` },
    { at: refusedAt, text: `the RP (${model.name}) refuses the token: unknown kid; ${why}` },
  ]
  return {
    cause: causeOf(answer, maxRingAge, 'propagation'),
    model: model.name,
    events: sort(events),
  }
}

/** Story of a key that leaves before its tokens have expired. */
export function goneTooSoon(
  model: RpModel,
  { kid }: Sightings,
  { token, removal }: { readonly token: LastToken; readonly removal: Span },
  maxRingAge: number,
): Story {
  const { span } = token
  // A node may still sign after the key has left; then the first such token is told.
  const signedAt = Math.min(token.signedAt, Math.max(span.from, removal.from))
  const refusedAt = Math.max(removal.from, signedAt)
  const left = duration(token.expiresAt - token.signedAt + signedAt - refusedAt)
  const events = [
    ...cutOff(span),
    { at: signedAt, text: `${nodeWords(span.node)} signs a last token with ${kid}` },
    { at: removal.from, text: `${nodeWords(removal.node)} takes ${kid} out of the JWKS` },
    {
      at: refusedAt,
      text:
        `an RP (${model.name}) that has just started fetches the JWKS and refuses the token, ` +
        `valid for ${left} more: unknown kid`,
    },
  ]
  const cause = causeOf({ span, at: signedAt }, maxRingAge, 'retention')
  return { cause, model: model.name, events: sort(events) }
}

/** The shortest story for each cause, shortest first. */
export function shortest(stories: readonly Story[]): readonly Story[] {
  const best = new Map<string, Story>()
  for (const story of stories) {
    const known = best.get(story.cause)
    best.set(story.cause, known ? shorter(known, story) : story)
  }
  return [...best.values()].sort((a, b) => a.events.length - b.events.length)
}

/** The shorter story, or the one that takes less time. */
function shorter(a: Story, b: Story): Story {
  const time = ({ events }: Story) => (events.at(-1)?.at ?? 0) - (events[0]?.at ?? 0)
  const longer = a.events.length - b.events.length || time(a) - time(b)
  return longer <= 0 ? a : b
}

function causeOf(
  { span, at }: Pick<NodeAnswer, 'span' | 'at'>,
  maxRingAge: number,
  otherwise: Cause,
): Cause {
  return span.fault && at - span.fault.loadedAt > maxRingAge ? 'ring age' : otherwise
}

function cutOff({ node, fault }: Span): readonly StoryEvent[] {
  if (!fault) return []
  const text = `${nodeWords(node)} loads the rings, and then cannot reach the key store`
  return [{ at: fault.loadedAt, text }]
}

function nodeWords({ number, offset }: Node): string {
  if (offset === 0) return `node ${number}`
  const side = offset > 0 ? 'ahead' : 'behind'
  return `node ${number}, whose clock is ${duration(Math.abs(offset))} ${side},`
}

function sort(events: readonly StoryEvent[]): readonly StoryEvent[] {
  return events.toSorted((a, b) => a.at - b.at)
}

/** Units in milliseconds. */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

/**
 * A duration as exact text. @example duration(45_360) // '12 h 36 min', duration(0.5) // '500 ms'
 */
export function duration(seconds: number): string {
  let left = Math.round(seconds * 1000)
  const parts = UNITS.flatMap(([unit, size]) => {
    const count = Math.floor(left / size)
    left -= count * size
    return count === 0 ? [] : [`${count} ${unit}`]
  })
  return parts.length === 0 ? '0 s' : parts.join(' ')
}
