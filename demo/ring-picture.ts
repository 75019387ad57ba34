import type { KeyState, Phase } from '../src/ring/lifecycle.ts'
import type { RotationPolicies } from '../src/ring/policy.ts'
import type { RingView } from '../src/ring/view.ts'
import { inWords } from './words.ts'

/** Draws the rings at an instant: a bar per key on a common time axis. Pure. */

export interface RingPicture {
  readonly name: string
  readonly algorithm: string
  /** Elapsed part of the active key's signing time, in percent. */
  readonly progress: number
  /** Time of the next rotation in words, such as `turns in 1 min 20 s`. */
  readonly turn: string
  readonly keys: readonly KeyPicture[]
  readonly ticks: readonly { readonly x: number; readonly text: string }[]
  /** Position of the present instant, in percent of the width. */
  readonly nowX: number
}

export interface KeyPicture {
  readonly kid: string
  readonly generation: number
  /** Number of a colour of eight: four for each of two rings, so that neighbours differ. */
  readonly hue: number
  readonly phase: Phase
  /** Next event in words. */
  readonly next: string
  readonly bars: readonly Bar[]
}

/** A stretch of a key's life, in percent of the width. */
export interface Bar {
  readonly phase: 'pre-active' | 'active' | 'retired'
  readonly x: number
  readonly width: number
  /** Text in the bar, if there is room and the words beside do not say it. */
  readonly text: string | undefined
}

const BAR_TEXTS = { 'pre-active': 'published', active: 'signs', retired: 'verifies' } as const
/** Percent of the width that a text needs. */
const TEXT_WIDTH = 11

export function picturesOf(
  view: RingView | undefined,
  policies: RotationPolicies,
  now: number,
): readonly RingPicture[] {
  return policies.rings
    .filter((policy) => policy.published)
    .map(({ ring, algorithm, cryptoperiod }, index) => {
      const span = { from: now - cryptoperiod, to: now + 2 * cryptoperiod }
      const states = (view?.states ?? []).filter((state) => state.key.ring === ring)
      const active = states.find((state) => state.phase === 'active')
      const visible = states.filter((state) => (goneAt(state) ?? Infinity) > span.from)
      return {
        name: ring,
        algorithm,
        ...turnOf(active, now),
        keys: visible.map((state) => ({
          ...keyPicture(state, span, now),
          hue: (index % 2) * 4 + (state.key.generation % 4),
        })),
        ticks: [-cryptoperiod / 2, cryptoperiod / 2, cryptoperiod, 1.5 * cryptoperiod].map(
          (offset) => ({ x: place(now + offset, span), text: tickText(offset) }),
        ),
        nowX: place(now, span),
      }
    })
}

interface Span {
  readonly from: number
  readonly to: number
}

function turnOf(active: KeyState | undefined, now: number): { progress: number; turn: string } {
  if (!active) return { progress: 0, turn: 'has no active key' }
  const { activatesAt, retiresAt } = active
  if (retiresAt === null) return { progress: 0, turn: 'waits for a successor' }
  const progress = Math.min(1, Math.max(0, (now - activatesAt) / (retiresAt - activatesAt)))
  return { progress: round(progress * 100), turn: `turns in ${inWords(retiresAt - now)}` }
}

function keyPicture(state: KeyState, span: Span, now: number): Omit<KeyPicture, 'hue'> {
  const { kid, generation } = state.key
  return {
    kid,
    generation,
    phase: state.phase,
    next: nextWords(state, now),
    bars: barsOf(state, span, now),
  }
}

function nextWords({ phase, ...state }: KeyState, now: number): string {
  const { activatesAt, retiresAt, unpublishAt, revokedAt } = state
  if (phase === 'pre-active') return `published, signs in ${inWords(activatesAt - now)}`
  if (phase === 'active') {
    return retiresAt === null ? 'signs' : `signs for another ${inWords(retiresAt - now)}`
  }
  if (phase === 'retired' && unpublishAt !== null) {
    return `only verifies, leaves the JWKS in ${inWords(unpublishAt - now)}`
  }
  if (phase === 'archived' && unpublishAt !== null) {
    return `left the JWKS ${inWords(now - unpublishAt)} ago`
  }
  return revokedAt === null ? '' : `revoked ${inWords(now - revokedAt)} ago`
}

function barsOf(state: KeyState, span: Span, now: number): readonly Bar[] {
  const { activatesAt, retiresAt } = state
  const end = goneAt(state) ?? Infinity
  const retires = Math.min(retiresAt ?? Infinity, end)
  const stretches = [
    ['pre-active', state.key.createdAt, Math.min(activatesAt, end)],
    ['active', activatesAt, retires],
    ['retired', retires, end],
  ] as const
  return stretches.flatMap(([phase, from, to]) => {
    const x = place(from, span)
    const width = round(place(to, span) - x)
    const isNow = from <= now && now < to
    const text = isNow || width < TEXT_WIDTH ? undefined : BAR_TEXTS[phase]
    return width > 0 ? { phase, x, width, text } : []
  })
}

/** Instant from which the key is not published any more. */
function goneAt({ revokedAt, unpublishAt }: KeyState): number | null {
  return revokedAt ?? unpublishAt
}

function place(at: number, { from, to }: Span): number {
  return round(Math.min(1, Math.max(0, (at - from) / (to - from))) * 100)
}

function tickText(offset: number): string {
  return `${offset < 0 ? '−' : '+'}${inWords(Math.abs(offset))}`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
