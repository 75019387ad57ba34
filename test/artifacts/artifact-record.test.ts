import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  type ArtifactRecord,
  createArtifactRecords,
  GRACE,
  ownerOf,
} from '../../src/artifacts/artifact-record.ts'
import { createPayloadCipher } from '../../src/artifacts/payload-cipher.ts'
import { createTextMac } from '../../src/artifacts/text-mac.ts'
import { testSecret } from '../support/authentic.ts'

const NOW = 1_760_000_000

const ISSUER = 'https://a.example'

function open({ issuer = ISSUER, secret = testSecret().of(ISSUER) } = {}) {
  let forgeries = 0
  const records = createArtifactRecords({
    issuer,
    secret,
    onForgery: () => {
      forgeries += 1
    },
  })
  return { ...records, forgeries: () => forgeries }
}

// Another first character, whatever the random one was.
const otherFirst = (text: string) => `${text.startsWith('x') ? 'y' : 'x'}${text.slice(1)}`

const session = { jti: 'id', uid: 'u', accountId: 'ada', exp: NOW + 60 }
const save = (records = open(), model = 'Session', id = 'id', payload: object = session) =>
  records.toRecord(model, id, payload as never, { expiresIn: 60, now: NOW })

describe('a stored artifact', () => {
  it('is found as it was saved by every process of its deployment', () => {
    assert.deepEqual(open().toPayload(save(), NOW, { id: 'id' }), session)
    assert.deepEqual(open().toPayload(save(), NOW, { uid: 'u' }), session)
  })

  it('is absent, and counted, where anything about it was changed', () => {
    const record = save()
    const other = save(open(), 'Session', 'other', { ...session, jti: 'other', uid: 'v' })
    const changes: Readonly<Record<string, Partial<ArtifactRecord>>> = {
      model: { model: 'Interaction' },
      id: { id: other.id },
      payload: { payload: other.payload },
      cut: { payload: record.payload.slice(0, 40) },
      empty: { payload: '' },
      plain: { payload: JSON.stringify(session) },
      salt: { payload: otherFirst(record.payload) },
      appended: { payload: `${record.payload}AAAA` },
    }
    for (const [what, change] of Object.entries(changes)) {
      const records = open()
      assert.equal(records.toPayload({ ...record, ...change }, NOW, { id: 'id' }), undefined, what)
      assert.equal(records.forgeries(), 1, what)
    }
  })

  it('is absent where it was put under the uid or the user code of another', () => {
    const records = open()
    assert.equal(records.toPayload(save(), NOW, { uid: 'v' }), undefined)
    const code = save(records, 'DeviceCode', 'd', { jti: 'd', userCode: 'ABCD' })
    assert.equal(records.toPayload(code, NOW, { userCode: 'WXYZ' }), undefined)
    assert.ok(records.toPayload(code, NOW, { userCode: 'ABCD' }))
    assert.equal(records.forgeries(), 2)
  })

  it('ends when it was meant to, whatever its store says, and that is no forgery', () => {
    const records = open()
    const prolonged = { ...save(), expiresAt: NOW + 1_000_000 }
    assert.ok(records.toPayload(prolonged, NOW + 60 + GRACE))
    assert.equal(records.toPayload(prolonged, NOW + 61 + GRACE), undefined)
    const endless = records.toRecord('Grant', 'g', {}, { expiresIn: undefined, now: NOW })
    assert.ok(records.toPayload(endless, NOW * 2))
    assert.equal(records.forgeries(), 0)
  })

  it('is neither found by nor has a name in common with another issuer or deployment', () => {
    const record = save()
    for (const other of [
      open({ issuer: 'https://a.example/' }),
      open({ issuer: 'https://b.example' }),
      open({ secret: testSecret(randomBytes(32)).of(ISSUER) }),
    ]) {
      assert.equal(other.toPayload(record, NOW, { id: 'id' }), undefined)
      assert.notEqual(other.userCodeOf('ABCD'), open().userCodeOf('ABCD'))
    }
    const [one, other] = [open(), open({ issuer: 'https://b.example' })]
    assert.notEqual(one.nameOf('AccessToken', 'x'), other.nameOf('AccessToken', 'x'))
    assert.notEqual(one.uidOf('x'), other.uidOf('x'))
  })

  it('has a name that tells model and id apart', () => {
    const { nameOf } = open()
    const names = [nameOf('A', 'B C'), nameOf('A B', 'C'), nameOf('A', 'B'), nameOf('', 'A B')]
    assert.equal(new Set(names).size, names.length)
  })

  it('shows nothing of what is in it, and looks different each time', () => {
    const [one, again] = [save(), save()]
    assert.notEqual(one.payload, again.payload)
    for (const text of ['"u"', '"exp"', '"jti"'])
      assert.ok(!JSON.stringify(one).includes(text), text)
  })

  it('of an interaction is that of whoever has just signed in, or of the session before', () => {
    const before = { session: { accountId: 'before' } }
    assert.equal(ownerOf(before as never, 'accountId'), 'before')
    const signedIn = { ...before, result: { login: { accountId: 'now' } } }
    assert.equal(ownerOf(signedIn as never, 'accountId'), 'now')
    assert.equal(ownerOf({ accountId: 'a', clientId: 'c' }, 'clientId'), 'c')
    assert.equal(ownerOf({}, 'clientId'), undefined)
  })
})

describe('a token, whose payload can be read', () => {
  it('is absent where anything about it was changed, or a text of another kind stands there', () => {
    const payload = { jti: 'id', accountId: 'ada', clientId: 'shop', exp: NOW + 60 }
    const record = save(open(), 'AccessToken', 'id', payload)
    assert.deepEqual(open().toPayload(record, NOW, { id: 'id' }), payload)
    const text = record.payload.slice(43)
    const sealed = save(open(), 'Session', 'id', payload).payload
    for (const change of [
      { model: 'RefreshToken' },
      { id: save(open(), 'AccessToken', 'other', payload).id },
      { payload: record.payload.replace('ada', 'bob') },
      { payload: record.payload.replace(String(NOW + 60), String(NOW + 61)) },
      { payload: text },
      { payload: `${'A'.repeat(43)}${text}` },
      { payload: `${record.payload} ` },
      { payload: sealed },
      { payload: '' },
    ]) {
      const records = open()
      assert.equal(records.toPayload({ ...record, ...change }, NOW), undefined)
      assert.equal(records.forgeries(), 1, JSON.stringify(change))
    }
    const moved = { ...save(), payload: record.payload }
    assert.equal(open().toPayload(moved, NOW), undefined, 'a MAC in the place of a seal')
  })

  it('carries the HMAC-SHA-256 that everybody else computes', () => {
    const key = testSecret().of(ISSUER).key('texts')
    const { sign } = createTextMac(key)
    for (const text of ['', 'text', 'ünï \ud83d\udd11', 'x'.repeat(1000)]) {
      const mac = createHmac('sha256', key)
      assert.equal(sign(text, 'name'), mac.update(`4 name ${text}`).digest('base64url') + text)
    }
  })
})

describe('a MAC of texts', () => {
  it('tells what it remembers from what was put in its place', () => {
    const { sign, check } = createTextMac(testSecret().of(ISSUER).key('texts'))
    const [first, second] = [sign('first', 'name'), sign('second', 'name')]
    for (const [signed, text] of [
      [first, 'first'],
      [second, 'second'],
      [first, 'first'],
      [first, 'first'],
    ] as const) {
      assert.equal(check(signed, 'name'), text)
      assert.equal(check(signed, 'another'), undefined)
      assert.equal(check(`${signed}!`, 'name'), undefined)
      assert.equal(check(`${second.slice(0, 43)}first`, 'name'), undefined)
    }
  })
})

describe('a cipher of payloads', () => {
  it('opens what very many other processes have sealed, and still its own', () => {
    const key = testSecret().of(ISSUER).key('payloads')
    const own = createPayloadCipher(key)
    const first = own.seal('first', 'name')
    for (let index = 0; index < 1100; index += 1) {
      const other = createPayloadCipher(key)
      assert.equal(own.open(other.seal(`${index}`, 'name'), 'name'), `${index}`)
    }
    assert.equal(own.open(first, 'name'), 'first')
    assert.equal(own.open(own.seal('', 'name'), 'name'), '')
  })

  it('tells what it remembers from what was put in its place', () => {
    const cipher = createPayloadCipher(testSecret().of(ISSUER).key('payloads'))
    const [first, second] = [cipher.seal('first', 'name'), cipher.seal('second', 'name')]
    for (const [sealed, text] of [
      [second, 'second'],
      [first, 'first'],
    ] as const) {
      assert.equal(cipher.open(sealed, 'name'), text)
      assert.equal(cipher.open(sealed, 'another'), undefined)
      assert.equal(cipher.open(`${sealed.slice(0, -4)}AAAA`, 'name'), undefined)
    }
  })

  it('never uses a nonce twice', () => {
    const cipher = createPayloadCipher(testSecret().of(ISSUER).key('payloads'))
    const nonces = Array.from({ length: 1000 }, () =>
      Buffer.from(cipher.seal('text', 'name').slice(22), 'base64url').toString('hex', 0, 6),
    )
    assert.equal(new Set(nonces).size, 1000)
  })
})
