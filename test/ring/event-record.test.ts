import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { base64url, CompactSign } from 'jose'
import { type EventWithoutId, keyEvent } from '../../src/ring/key.ts'
import type { SerializedEvent } from '../../src/ring/key-store.ts'
import { testSealer } from '../support/sealer.ts'

const sealer = testSealer()
const BASE = { ring: 'sig/ES256', reason: 'it leaked', actor: 'ada' } as const
const PLACE = { kid: 'k1', generation: 1, createdAt: 100, activatesAt: 100 }

const revocation = (kid: string, at: number) =>
  keyEvent({ ...BASE, type: 'revoke', kid, at, place: { ...PLACE, kid } })

const seal = (event: EventWithoutId, knows: readonly string[] = []) =>
  sealer.sealEvent(keyEvent(event), knows)

/** The record with another payload, as somebody without the secret can write it. */
function edited(record: SerializedEvent, changes: object): SerializedEvent {
  const [header = '', payload = '', mac = ''] = record.data.split('.')
  const fields = JSON.parse(new TextDecoder().decode(base64url.decode(payload)))
  const other = base64url.encode(JSON.stringify({ ...fields, ...changes }))
  return { ...record, data: [header, other, mac].join('.') }
}

describe('the record of an event', () => {
  const all: readonly EventWithoutId[] = [
    { ...BASE, type: 'promote', kid: 'k2', activatesAt: 5_000_000_000, at: 10 },
    { ...BASE, type: 'revoke', kid: 'k1', place: PLACE, at: 20 },
    { ...BASE, type: 'revoke', kid: 'k3', place: null, at: 21 },
    { ...BASE, type: 'revoke-before', createdBefore: 15, places: [PLACE], at: 30 },
    { ...BASE, type: 'extend', kid: 'k2', retention: 900, at: 40 },
    { ...BASE, type: 'valid-until', kid: 'k2', validUntil: 2_000, at: 50 },
    { ...BASE, type: 'accept', missing: ['revoke/x'], at: 60, reason: 'ein "Grund" mit ü' },
  ]

  it('opens as it was sealed, whatever its type', async () => {
    const records = await Promise.all(all.map((event) => seal(event)))
    const { events, forged } = await sealer.openEvents(records)
    assert.deepEqual(events, all.map(keyEvent))
    assert.deepEqual(forged, [])
  })

  it('is the same if the same event is sealed twice', async () => {
    const event = revocation('k1', 20)
    assert.deepEqual(await seal(event), await seal(event))
  })

  it('counts once if two nodes record the same revocation: the older one', async () => {
    const late = await seal({ ...revocation('k1', 30), reason: 'later' })
    const early = await seal(revocation('k1', 20))
    const { events, records } = await sealer.openEvents([late, early])
    assert.deepEqual(events, [revocation('k1', 20)])
    assert.equal(records.length, 2, 'the second record is kept as well')
  })

  for (const [what, forge] of [
    ['another kid', (record) => edited(record, { kid: 'k2' })],
    ['another instant', (record) => edited(record, { at: 9_999 })],
    ['another reason', (record) => edited(record, { reason: 'never mind' })],
    ['another place in the ring', (record) => edited(record, { place: null })],
    ['other events that it knows', (record) => edited(record, { knows: ['revoke/other'] })],
    ['another id', (record) => ({ ...record, id: 'revoke/other' })],
    [
      'another type in its id',
      (record) => ({ ...record, id: record.id.replace('revoke', 'extend') }),
    ],
    ['nothing in it', (record) => ({ ...record, data: '' })],
    ['JSON in the place of a JWS', (record) => ({ ...record, data: '{"type":"revoke"}' })],
  ] satisfies readonly (readonly [string, (record: SerializedEvent) => SerializedEvent])[]) {
    it(`with ${what} is ignored, and hides no genuine one`, async () => {
      const record = await seal(revocation('k1', 20))
      const genuine = await seal(revocation('k9', 10))
      const { events, forged, heads } = await sealer.openEvents([forge(record), genuine, record])
      assert.deepEqual(events, [revocation('k9', 10), revocation('k1', 20)])
      assert.equal(forged.length, 1)
      assert.deepEqual(heads.toSorted(), [genuine.id, record.id].toSorted())
    })
  }

  it('of another deployment, or without any MAC, is ignored', async () => {
    const foreign = await testSealer().sealEvent(revocation('k1', 20), [])
    const header = base64url.encode(JSON.stringify({ alg: 'none', typ: 'keyturn-event' }))
    const [, payload = ''] = foreign.data.split('.')
    const unsigned = { ...foreign, data: `${header}.${payload}.` }
    const { events, forged } = await sealer.openEvents([foreign, unsigned])
    assert.deepEqual(events, [])
    assert.equal(forged.length, 2)
  })

  it('that this deployment signed for another purpose is ignored', async () => {
    const payload = { ...revocation('k1', 20), id: undefined, knows: [] }
    const data = await new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'HS256', typ: 'keyturn-event' })
      .sign(sealer.deployment.key('artifacts'))
    const record = await seal(revocation('k1', 20))
    const { events } = await sealer.openEvents([{ ...record, data }])
    assert.deepEqual(events, [])
  })

  it('of a type that only a newer version knows is an error, because it may be a revocation', async () => {
    // What a newer version will know, this one's types do not.
    const newer = { ...BASE, type: 'revoke-all', at: 20, id: 'x' } as unknown as EventWithoutId
    const record = await sealer.sealEvent({ ...newer, id: 'x' } as never, [])
    await assert.rejects(sealer.openEvents([record]), { code: 'store_unreadable' })
  })

  for (const [what, changes] of [
    ['an instant beyond the year 9999', { at: 253_402_300_800 }],
    ['a generation that no column holds', { place: { ...PLACE, generation: 2 ** 31 } }],
    ['a generation of zero', { place: { ...PLACE, generation: 0 } }],
  ] as const) {
    it(`with ${what} is an error`, async () => {
      const record = await seal({ ...revocation('k1', 20), ...changes } as EventWithoutId)
      await assert.rejects(sealer.openEvents([record]), { code: 'store_unreadable' })
    })
  }
})

describe('the events of a store', () => {
  it('have as heads the events that no other event names, even if two nodes wrote at once', async () => {
    const first = await seal(revocation('k1', 1))
    const left = await seal(revocation('k2', 2), [first.id])
    const right = await seal(revocation('k3', 2), [first.id])
    const forked = await sealer.openEvents([right, first, left])
    assert.deepEqual(forked.heads.toSorted(), [left.id, right.id].toSorted())
    const joined = await seal(revocation('k4', 3), forked.heads)
    const { heads } = await sealer.openEvents([joined, left, right, first])
    assert.deepEqual(heads, [joined.id])
  })

  it('name a deleted event until an operator accepts its loss', async () => {
    const first = await seal(revocation('k1', 1))
    const second = await seal(revocation('k2', 2), [first.id])
    const { named } = await sealer.openEvents([second])
    assert.deepEqual(named, [first.id])
    const given = await seal({ ...BASE, type: 'accept', missing: [first.id], at: 3 }, [second.id])
    const { accepted } = await sealer.openEvents([second, given])
    assert.deepEqual(accepted, [first.id])
  })
})
