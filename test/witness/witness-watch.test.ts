import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../../src/clock.ts'
import { type LoadedRings, NO_RINGS } from '../../src/ring/loaded-rings.ts'
import type { RingKey } from '../../src/ring/ring-key.ts'
import { createMemoryWitness } from '../../src/witness/memory-witness.ts'
import { NOTHING_WITNESSED, witnessed } from '../../src/witness/witness.ts'
import { authenticWitness } from '../../src/witness/witness-mac.ts'
import { createWitnessWatch } from '../../src/witness/witness-watch.ts'
import { key, POLICY, policiesOf } from '../support/rings.ts'
import { SEALER } from '../support/scheduler.ts'
import { seen } from '../support/witness.ts'

const RING = POLICY.ring

/** Rings with keys of these generations, as far as a witness looks at them. */
function rings(...generations: readonly number[]): LoadedRings {
  // A witness reads place and ring of a key, and nothing that a sealer has to open.
  const keys = generations.map((generation) => key(generation) as RingKey)
  return { ...NO_RINGS, keys, hasDeployment: true }
}

const ACCEPTED = { at: 1, actor: 'x', reason: 'x', events: [], generations: {} }

/** A clock on which a sleep is over at once. */
function dreamingClock(): Clock {
  let elapsed = 0
  return {
    now: () => Math.floor(elapsed),
    exact: () => elapsed,
    elapsed: () => elapsed,
    sleep: async (seconds) => {
      elapsed += seconds
    },
  }
}

function setUp(patience = 0) {
  const clock = dreamingClock()
  const witness = createMemoryWitness()
  const log: string[] = []
  const note = (_data: object, message: string) => void log.push(message)
  const watch = createWitnessWatch({
    witness,
    mayBegin: true,
    issuer: 'https://id.example.com',
    policies: policiesOf(POLICY),
    clock,
    addEvents: async () => {},
    wakeOthers: async () => void log.push('others are woken'),
    patience,
    log: { info: note, warn: note, error: note },
  })
  /** What another node of the same deployment has seen. */
  const other = (generation: number) =>
    authenticWitness(witness, SEALER.deployment).update((before) =>
      witnessed(
        before,
        seen({ deployments: [SEALER.deployment.kid], generations: { [RING]: generation } }),
      ),
    )
  return { clock, witness, watch, other, log }
}

describe('the watch over a witness', () => {
  it('does not take for lost what another node makes while the store is asked', async () => {
    const { watch, other } = setUp()
    await other(1)
    const facts = await watch.load(SEALER, async () => {
      const found = rings(1)
      await other(2)
      return found
    })
    assert.deepEqual(facts.seenGenerations, { [RING]: 1 }, 'generation 2 would be passed over')
    const next = await watch.load(SEALER, async () => rings(1, 2))
    assert.deepEqual(next.seenGenerations, { [RING]: 2 })
  })

  it('is not told to be missing if another node begins it just after its first keys', async (t) => {
    const { clock, watch, other, log } = setUp()
    t.mock.method(clock, 'sleep', async () => other(1))
    const facts = await watch.load(SEALER, async () => rings(1))
    assert.deepEqual(facts.seenGenerations, { [RING]: 1 })
    assert.deepEqual(log, [])
    assert.doesNotMatch(watch.status.detail, /begun at this start/)
  })

  it('waits at a start until other nodes have put back what is missing, and wakes them', async () => {
    const { watch, witness, other, clock, log } = setUp(45)
    await other(3)
    let looks = 0
    const facts = await watch.load(SEALER, async () => {
      looks += 1
      return looks < 4 ? rings(1, 2) : rings(1, 2, 3)
    })
    assert.ok(clock.elapsed() < 10)
    assert.equal(facts.keys.length, 3)
    assert.deepEqual(log, [
      'the key store is older than it was; this start waits 45 s, because other nodes may put back what it lacks',
      'others are woken',
      'other nodes have put back what the key store lacked',
    ])
    assert.deepEqual((await witness.read())?.generations, { [RING]: 3 })
  })

  it('waits at a start as long as it was told to, and refuses then', async () => {
    const { watch, other, clock } = setUp(45)
    await other(3)
    const started = watch.load(SEALER, async () => rings(1, 2))
    await assert.rejects(started, { code: 'store_outdated' })
    assert.equal(clock.elapsed(), 45)
  })

  it('of a node that runs tells of a lost generation, and goes on', async () => {
    const { watch, other } = setUp()
    await watch.load(SEALER, async () => rings(1, 2))
    await other(3)
    const facts = await watch.load(SEALER, async () => rings(1, 2))
    assert.deepEqual(facts.seenGenerations, { [RING]: 3 })
    const { isDegraded, detail } = watch.status
    assert.ok(isDegraded)
    assert.match(detail, /the key store lacks generation 3 of ring sig\/ES256 \(its newest is 2\)/)
    await watch.load(SEALER, async () => rings(1, 2, 4))
    assert.equal(watch.status.isDegraded, false)
  })

  it('believes nothing of what cannot be checked, because its secret was given up', async () => {
    for (const lost of [{}, { [RING]: 2 ** 31 - 1 }]) {
      const { watch, witness, log } = setUp()
      const forged = {
        deployment: 'given up',
        issuer: 'x',
        generations: { [RING]: 2 ** 31 - 1 },
        lost,
      }
      await witness.update((before) => ({ ...before, ...forged, accepted: [{ ...ACCEPTED }] }))
      const sealer = { ...SEALER, deployment: { ...SEALER.deployment, former: ['given up'] } }
      const facts = await watch.load(sealer, async () => rings(1, 2))
      assert.deepEqual(facts.seenGenerations, {})
      assert.match(log.join(), /has no witness of what was revoked and cannot tell/)
      const begun = await witness.read()
      assert.equal(begun?.deployment, SEALER.deployment.kid)
      assert.deepEqual([begun?.generations, begun?.lost, begun?.accepted], [{ [RING]: 2 }, {}, []])
    }
  })

  it('that was emptied is no better than one that was damaged', async () => {
    for (const changes of [{}, { issuer: 'https://id.example.com' }, { lost: { [RING]: 3 } }]) {
      const { watch, witness, other } = setUp()
      await other(3)
      await witness.update(() => ({ ...NOTHING_WITNESSED, ...changes }))
      const started = watch.load(SEALER, async () => rings(1, 2))
      await assert.rejects(started, { code: 'witness_unreadable' })
    }
  })

  it('begins no witness for a command, and adds to one that is there', async () => {
    const { clock, log } = setUp()
    const witness = createMemoryWitness()
    const command = () =>
      createWitnessWatch({
        witness,
        mayBegin: false,
        issuer: 'https://id.example.com',
        policies: policiesOf(POLICY),
        clock,
        addEvents: async () => {},
        wakeOthers: async () => {},
        patience: 0,
        log: { info: () => {}, warn: (_data, message) => void log.push(message), error: () => {} },
      })
    await command().load(SEALER, async () => rings(1))
    assert.equal(await witness.read(), undefined)
    assert.match(log.join(), /has no witness/)
    await authenticWitness(witness, SEALER.deployment).update((before) =>
      witnessed(before, seen({ deployments: [SEALER.deployment.kid] })),
    )
    await command().load(SEALER, async () => rings(1, 2))
    assert.deepEqual((await witness.read())?.generations, { [RING]: 2 })
  })
})
