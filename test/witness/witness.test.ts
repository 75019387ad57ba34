import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { plan } from '../../src/ring/plan.ts'
import {
  givenUp,
  highestGenerations,
  isOfOtherDeployment,
  lackLines,
  lackOf,
  lackWords,
  NOTHING_WITNESSED,
  withAccepted,
  witnessed,
} from '../../src/witness/witness.ts'
import { facts, key, POLICY, policiesOf } from '../support/rings.ts'
import { revocation, seen } from '../support/witness.ts'

const RING = POLICY.ring

describe('what is witnessed', () => {
  it('grows by what is new, and is the same value where nothing is', () => {
    const store = seen({ events: [revocation('a')], generations: { [RING]: 3 } })
    const once = witnessed(NOTHING_WITNESSED, store)
    assert.equal(witnessed(once, store), once)
    const older = seen({ generations: { [RING]: 2 } })
    assert.equal(witnessed(once, older), once, 'an older store took something away')
  })

  it('is the highest generation of each ring', () => {
    const keys = [key(2), key(9), key(3), key(1, { ring: 'cookie' })]
    assert.deepEqual(highestGenerations(keys), { [RING]: 9, cookie: 1 })
  })
})

describe('a store', () => {
  const witness = witnessed(
    NOTHING_WITNESSED,
    seen({ events: [revocation('a'), revocation('b')], generations: { [RING]: 4 } }),
  )

  it('that is as new as the witness or newer lacks nothing', () => {
    const { events, generations } = witness
    const whole = seen({ events, generations })
    assert.equal(lackOf(witness, whole), undefined)
    const newer = {
      ...whole,
      generations: { [RING]: 5 },
      events: [...whole.events, revocation('c')],
    }
    assert.equal(lackOf(witness, newer), undefined)
  })

  it('that is older lacks the whole events and the generations', () => {
    const older = seen({ events: [revocation('a')], generations: { [RING]: 2 } })
    const lack = lackOf(witness, older)
    assert.deepEqual(lack, {
      events: [revocation('b')],
      generations: [{ ring: RING, seen: 4, stored: 2 }],
    })
    assert.ok(lack)
    assert.equal(lackWords(lack), `1 revocation, generation 4 of ring ${RING} (its newest is 2)`)
    assert.match(lackLines(lack).join('\n'), /the keys of generation 3 to 4/)
  })

  it('that is empty lacks everything', () => {
    const lack = lackOf(witness, seen({}))
    assert.equal(lack?.events.length, 2)
    assert.deepEqual(lack?.generations, [{ ring: RING, seen: 4, stored: 0 }])
  })

  it('lacks nothing that an event in it gives up, and what is lost after that', () => {
    const older = seen({ events: [revocation('a')], generations: { [RING]: 2 } })
    const lack = lackOf(witness, older)
    assert.ok(lack)
    const given = givenUp(lack)
    assert.equal(lackOf(witness, { ...older, given }), undefined)
    const later = witnessed(
      witness,
      seen({ events: [revocation('c')], generations: { [RING]: 5 } }),
    )
    assert.deepEqual(lackOf(later, { ...older, given }), {
      events: [revocation('c')],
      generations: [{ ring: RING, seen: 5, stored: 2 }],
    })
  })

  it('that is empty lacks nothing that was accepted, and the witness is free for another deployment', () => {
    const lack = lackOf(witness, seen({}))
    assert.ok(lack)
    const by = { at: 7, actor: 'ada', reason: 'no backup' }
    const accepted = withAccepted(witness, lack, by)
    assert.equal(lackOf(accepted, seen({})), undefined)
    assert.ok(!isOfOtherDeployment(accepted, { deployments: ['another'] }))
    assert.equal(accepted.generations[RING], 4, 'its generations would be used again')
    assert.deepEqual(accepted.accepted, [
      { ...by, events: [revocation('a'), revocation('b')], generations: { [RING]: 4 } },
    ])
  })

  it('is not missing the keys of a ring that left the configuration and has ended', () => {
    const left = seen({ events: witness.events, configured: ['sig/RS256'] })
    assert.equal(lackOf(witness, left), undefined)
    const ended = witnessed(witness, left)
    const back = seen({ events: witness.events, configured: [RING] })
    assert.equal(lackOf(ended, back), undefined, 'a ring that comes back cannot begin')
    assert.equal(ended.generations[RING], 4, 'its generations would be used again')
  })

  it('of another deployment is told from one that does not say', () => {
    const bound = witnessed(NOTHING_WITNESSED, seen({ deployments: ['d1'] }))
    assert.ok(isOfOtherDeployment(bound, { deployments: ['d2'] }))
    assert.ok(
      !isOfOtherDeployment(bound, { deployments: ['d3', 'd1'] }),
      'it followed d1 and still names it',
    )
    assert.ok(!isOfOtherDeployment(bound, { deployments: [] }))
    assert.ok(!isOfOtherDeployment(NOTHING_WITNESSED, { deployments: ['d2'] }))
  })
})

describe('the plan', () => {
  it('never uses a generation again that was seen', () => {
    const known = {
      ...facts([key(1), key(2, { activatesAt: 10 })]),
      seenGenerations: { [RING]: 6 },
    }
    const made = plan(known, policiesOf(POLICY), 20).actions.flatMap((action) =>
      action.type === 'create' ? action.generation : [],
    )
    assert.deepEqual(made, [7])
    const empty = plan({ ...facts([]), seenGenerations: { [RING]: 6 } }, policiesOf(POLICY), 20)
    assert.deepEqual(
      empty.actions.map((action) => action.type === 'create' && action.generation),
      [7, 8],
    )
  })
})
