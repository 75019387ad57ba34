import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Action } from '../../src/ring/action.ts'
import { mayDo } from '../../src/ring/destruction.ts'
import { keyEvent } from '../../src/ring/key.ts'
import { facts, key, POLICY, promoted, revoked, revokedBefore } from '../support/rings.ts'

const { ring } = POLICY
const erase = (kid: string): Action => ({ type: 'erase', ring, kid, reason: 'test' })
const remove = (kid: string): Action => ({ type: 'delete', ring, kid, reason: 'test' })
const create: Action = {
  ...{ type: 'create', ring, generation: 4, algorithm: 'ES256', reason: 'test' },
  ...{ createdAt: 0, activatesAt: 0, retention: 0 },
}
const event = keyEvent({
  ...{ type: 'revoke', ring, kid: 'k1', place: null, at: 10, reason: 'test', actor: 'test' },
})
const recording: Action = { type: 'record', ring, event, reason: 'test' }

/** Key 1 was revoked by name, key 2 by date, key 3 was promoted and is trusted. */
const RINGS = facts(
  [
    key(1, { createdAt: 50 }),
    key(2, { createdAt: 10 }),
    key(3, { createdAt: 60 }),
    key(1, { kid: 'other ring', ring: 'sig/RS256', createdAt: 10 }),
  ],
  [revoked('k1', 70), revokedBefore(20, 30), promoted('k3', 65)],
)

describe('erasing and deleting keys', () => {
  const table: readonly [string, Action, { settled: boolean; unsettled: boolean }][] = [
    ['make a key', create, { settled: true, unsettled: true }],
    ['record an event', recording, { settled: true, unsettled: true }],
    ['erase a key revoked by name', erase('k1'), { settled: true, unsettled: true }],
    ['erase a key revoked by date', erase('k2'), { settled: true, unsettled: true }],
    ['erase a key that has retired', erase('k3'), { settled: true, unsettled: false }],
    [
      'erase a key of another ring than was revoked by date',
      erase('other ring'),
      { settled: true, unsettled: false },
    ],
    ['erase an unknown key', erase('unknown'), { settled: true, unsettled: false }],
    ['delete a revoked key', remove('k1'), { settled: true, unsettled: false }],
    ['delete a key whose archive time is over', remove('k3'), { settled: true, unsettled: false }],
  ]
  for (const [what, action, { settled, unsettled }] of table) {
    it(`a process with a settled clock may ${what}`, () => {
      assert.equal(mayDo(action, RINGS, { isClockSettled: true }), settled)
    })
    it(`a process that has just started may ${unsettled ? '' : 'not '}${what}`, () => {
      assert.equal(mayDo(action, RINGS, { isClockSettled: false }), unsettled)
    })
  }
})
