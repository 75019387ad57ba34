import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import {
  type DefaultKey,
  type KeyFacts,
  nextChangeAt,
  resolveDefaultKey,
} from '../../src/data-protection/default-key.ts'
import {
  formatTicks,
  TICKS_PER_DAY,
  TICKS_PER_HOUR,
  type Ticks,
  ticksOf,
} from '../../src/values/ticks.ts'
import { readVector } from './vectors.ts'

interface Dates {
  readonly creationDate: string
  readonly activationDate: string
  readonly expirationDate: string
}

interface Case {
  readonly name: string
  readonly now: string
  readonly newKeyLifetimeDays?: number
  readonly revokeAll?: string
  readonly keys: readonly (Dates & { id: string; revoked?: boolean; undecryptable?: boolean })[]
  readonly resolver: { default: string | null; fallback: string | null; shouldGenerate: boolean }
  readonly generationOff: { protectsWith?: string; ringUntil?: string; error?: object }
  readonly generationOn: { protectsWith: string; ringUntil: string; made: readonly Dates[] }
}

interface Life {
  readonly name: string
  readonly newKeyLifetimeDays?: number
  readonly steps: readonly {
    at: string
    protectsWith: string
    made?: readonly (Dates & { id: string })[]
  }[]
}

const { cases, lives } = readVector<{ cases: Case[]; lives: Life[] }>('default-key.json')

/** ASP.NET Core makes a successor when the default key ends so soon. */
const HORIZON = 72n * TICKS_PER_HOUR
const LIFETIME_DAYS = 90

function factsOf({ keys, revokeAll }: Pick<Case, 'keys' | 'revokeAll'>): KeyFacts[] {
  return keys.map(({ id, revoked = false, undecryptable = false, ...dates }) => ({
    ...ticksOfDates(dates),
    id,
    revoked:
      revoked || (revokeAll !== undefined && ticksOf(dates.creationDate) < ticksOf(revokeAll)),
    isUsable: () => !undecryptable,
  }))
}

function ticksOfDates({ creationDate, activationDate, expirationDate }: Dates) {
  return {
    createdAt: ticksOf(creationDate),
    activatesAt: ticksOf(activationDate),
    expiresAt: ticksOf(expirationDate),
  }
}

function datesOf({ createdAt, activatesAt, expiresAt }: ReturnType<typeof ticksOfDates>): Dates {
  return {
    creationDate: formatTicks(createdAt),
    activationDate: formatTicks(activatesAt),
    expirationDate: formatTicks(expiresAt),
  }
}

/** The key that one pass of ASP.NET Core's ring provider makes, if any (reference, 2.4 and 2.8). */
function madeByAspNet(keys: readonly KeyFacts[], now: Ticks, days = LIFETIME_DAYS) {
  const key = keys.find(({ id }) => id === resolveDefaultKey(keys, now).key)
  const made = { createdAt: now, expiresAt: now + BigInt(days) * TICKS_PER_DAY }
  if (!key) return { ...made, activatesAt: now }
  if (key.expiresAt >= now + HORIZON) return undefined
  const next = resolveDefaultKey(keys, key.expiresAt).key
  const successor = keys.find(({ id }) => id === next)
  if (successor && successor.expiresAt >= now + HORIZON) return undefined
  return { ...made, activatesAt: key.expiresAt }
}

const inOurWords = ({ default: key, ...rest }: Case['resolver']): DefaultKey => ({ key, ...rest })

describe('the default key', { skip: withoutVectors }, () => {
  it('has cases', () => assert.equal(cases.length, 76))

  for (const one of cases) {
    it(`is the one that ASP.NET Core resolves: ${one.name}`, () => {
      const now = ticksOf(one.now)
      const keys = factsOf(one)
      const resolved = resolveDefaultKey(keys, now)
      assert.deepEqual(resolved, inOurWords(one.resolver))
      assert.equal(resolved.key ?? resolved.fallback ?? undefined, one.generationOff.protectsWith)

      const made = madeByAspNet(keys, now, one.newKeyLifetimeDays)
      assert.deepEqual(made ? [datesOf(made)] : [], one.generationOn.made)
      const revoked = made && one.revokeAll ? made.createdAt < ticksOf(one.revokeAll) : false
      const grown = made ? [...keys, { ...made, id: 'new', revoked, isUsable: () => true }] : keys
      const after = resolveDefaultKey(grown, now)
      assert.equal(after.key ?? after.fallback ?? 'new', one.generationOn.protectsWith)
    })
  }

  for (const { name, newKeyLifetimeDays, steps } of lives) {
    it(`goes on as in ASP.NET Core through months: ${name}`, () => {
      const keys: KeyFacts[] = []
      for (const { at, protectsWith, made = [] } of steps) {
        const now = ticksOf(at)
        const own = madeByAspNet(keys, now, newKeyLifetimeDays)
        const dates = own && datesOf(own)
        assert.deepEqual(
          dates ? [dates] : [],
          made.map(({ id: _, ...rest }) => rest),
          at,
        )
        for (const { id, ...rest } of made) {
          keys.push({ ...ticksOfDates(rest), id, revoked: false, isUsable: () => true })
        }
        const { key, fallback } = resolveDefaultKey(keys, now)
        assert.equal(key ?? fallback, protectsWith, at)
      }
    })
  }

  it('stays the same until the instant at which it may change', () => {
    for (const one of cases) {
      const keys = factsOf(one)
      const now = ticksOf(one.now)
      const change = nextChangeAt(keys, now)
      const before = (change ?? now + 1_000n * TICKS_PER_DAY) - 1n
      assert.deepEqual(resolveDefaultKey(keys, before), resolveDefaultKey(keys, now), one.name)
    }
  })
})
