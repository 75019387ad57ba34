import assert from 'node:assert/strict'
import { createDatabaseClock } from '../../src/nodes/database-clock.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { createRings } from '../../src/ring/rings.ts'
import { createScheduler } from '../../src/ring/scheduler.ts'
import type { RingView } from '../../src/ring/view.ts'
import { createFakeClock } from './fake-clock.ts'
import { POLICY, policiesOf } from './rings.ts'
import { testSealer } from './sealer.ts'

export const DAY = 86_400
export const POLICY_90_DAYS = {
  ...POLICY,
  cryptoperiod: 90 * DAY,
  propagation: 14 * DAY,
  retention: 14 * DAY,
  archive: 400 * DAY,
  maxRingAge: 3600,
  clockSkew: 60,
}
/** A store on the same machine: there is no other clock. */
export const NO_CLOCK = { time: async () => undefined }
export const SEALER = testSealer()

/** A scheduler on a fake clock, with what it published and logged. */
export function setUp(
  store: KeyStore = createMemoryKeyStore(),
  clock = createFakeClock(),
  refreshInterval = 30,
  time: () => Promise<number | undefined> = NO_CLOCK.time,
) {
  const views: RingView[] = []
  const lines: string[] = []
  const note = (_data: object, message: string) => void lines.push(message)
  const scheduler = createScheduler({
    rings: createRings({ store, sealer: SEALER }),
    policies: policiesOf(POLICY_90_DAYS),
    clock,
    databaseClock: createDatabaseClock({ store: { time }, clock, clockSkew: 60 }),
    refreshInterval,
    maxRingAge: 3600,
    clockSkew: 60,
    onView: (view) => void views.push(view),
    log: { info: note, warn: note, error: note },
  })
  const active = () => {
    const found = scheduler.status.view?.states.filter((state) => state.phase === 'active') ?? []
    assert.equal(found.length, 1, 'not exactly one active key')
    assert.ok(found[0]?.key.signer, 'the active key cannot sign')
    return found[0].key
  }
  return { store, clock, scheduler, views, lines, active }
}
