import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { witnessPlace } from '../../src/config/witness.ts'
import { broken, load, violationsOf } from './sources.ts'

const KEYS = `seal: { protector: environment, keys: ${'A'.repeat(43)} }`
const REDIS = 'redis: { url: "redis://r" }'
const file = (path: string) => ({ type: 'file', path: resolve(path) })

test('a witness without a configured place is in a folder of its own beside the key-encryption keys', (t) => {
  const place = (text: string) => witnessPlace(load(t, text))
  assert.deepEqual(place(''), file('data/not-in-backups/kek-witness.json'))
  // Two deployments may keep their key-encryption keys in one folder.
  const demo = place('seal: { file: ./data/demo-kek.jwks }')
  assert.deepEqual(demo, file('data/not-in-backups/demo-kek-witness.json'))
  const both = place(`${REDIS}\nseal: { file: /etc/keyturn/kek }`)
  assert.deepEqual(both, file('/etc/keyturn/not-in-backups/kek-witness.json'))
})

test('without a file of key-encryption keys the witness is in Redis, and without Redis there is none', (t) => {
  assert.deepEqual(witnessPlace(load(t, `${KEYS}\n${REDIS}`)), { type: 'redis' })
  const alone = load(t, KEYS)
  assert.equal(witnessPlace(alone).type, 'none')
  assert.match(alone.warnings.join(), /No witness outside the database remembers revocations/)
  assert.deepEqual(load(t, `${KEYS}\n${REDIS}`).warnings, [])
})

test('a witness can be a file, redis or none, of which none gives a warning', (t) => {
  const named = (witness: string, more = '') =>
    load(t, `rotation: { witness: ${witness} }\n${more}`)
  assert.deepEqual(witnessPlace(named('./w.json')), file('w.json'))
  assert.deepEqual(witnessPlace(named('./redis', KEYS)), file('redis'))
  assert.deepEqual(witnessPlace(named('redis', REDIS)), { type: 'redis' })
  assert.equal(witnessPlace(named('none', REDIS)).type, 'none')
  assert.match(named('none').warnings.join(), /because rotation\.witness is none/)
})

test('keys in memory need no witness', (t) => {
  const config = load(t, 'keyStore: { type: memory }')
  assert.equal(witnessPlace(config).type, 'none')
  assert.doesNotMatch(config.warnings.join(), /witness/)
})

test('a witness in Redis without redis.url, or without a name, is refused', (t) => {
  const violations = (witness: string) =>
    broken(violationsOf(t, `rotation: { witness: ${witness} }`))
  assert.deepEqual(violations('redis'), ['rotation.witness: witness-redis'])
  assert.deepEqual(violations("''"), ['rotation.witness: format'])
  assert.deepEqual(violations('false'), ['rotation.witness: type'])
})

test('a word for the witness in other letters is refused, because it would be a file', (t) => {
  for (const [word, meant] of [
    ['Redis', 'redis'],
    ['None', 'none'],
    ['AUTO', 'auto'],
  ]) {
    const [violation, ...others] = violationsOf(t, `rotation: { witness: ${word} }`)
    assert.deepEqual(others, [])
    assert.equal(violation?.fix, `write ${meant} instead`)
  }
  assert.deepEqual(violationsOf(t, 'rotation: { witness: ./Redis }'), [])
})

test('the witness has a file of its own, outside the folder of the keys', (t) => {
  const violations = (witness: string, more = '') =>
    broken(violationsOf(t, `rotation: { witness: ${witness} }\n${more}`))
  for (const [witness, more] of [
    ['data/kek.jwks', ''],
    ['./data/../data/keyturn.db', ''],
    [resolve('data/keyturn.db-wal'), ''],
    ['data/keys/w.json', 'keyStore: { type: file }'],
    ['data/keys', 'keyStore: { type: file }'],
    ['k/w', 'keyStore: { type: file, path: k }'],
  ]) {
    assert.deepEqual(violations(witness ?? '', more), ['rotation.witness: own-file'], witness)
  }
  assert.deepEqual(violations('data/keys/w.json'), [])
  assert.deepEqual(violations('data/keys-w.json', 'keyStore: { type: file }'), [])
  assert.deepEqual(violations('data/kek.jwks', KEYS), [])
  assert.deepEqual(violations('./data/keyturn.db', 'database: { url: "postgres://k:p@db/k" }'), [])
})

test('key-encryption keys have a file of their own', (t) => {
  const violations = violationsOf(t, 'seal: { file: data/keyturn.db }')
  assert.deepEqual(broken(violations), ['seal.file: own-file'])
  // The folder for the witness is chosen by Keyturn.
  assert.deepEqual(violationsOf(t, 'seal: { file: data/keys/kek }\nkeyStore: { type: file }'), [])
})
