import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serializedKey } from '../../src/conformance/records.ts'
import { createMemoryKeyStores } from '../../src/ring/memory-key-stores.ts'

describe('key stores in memory', () => {
  it('list the issuers that have keys, under the new URL of one that was renamed', async () => {
    const stores = createMemoryKeyStores()
    const key = serializedKey(1)
    await stores.of('https://a.example').addKey(key)
    assert.deepEqual((await stores.of('https://b.example').load()).keys, [])
    assert.deepEqual(await stores.issuers(), ['https://a.example'])
    await stores.rename('https://a.example', 'https://c.example')
    assert.deepEqual(await stores.issuers(), ['https://c.example'])
    assert.deepEqual((await stores.of('https://c.example').load()).keys, [key])
  })

  it('change nothing if the issuer to rename is unknown', async () => {
    const stores = createMemoryKeyStores()
    await stores.of('https://a.example').addKey(serializedKey(1))
    await stores.rename('https://unknown.example', 'https://c.example')
    assert.deepEqual(await stores.issuers(), ['https://a.example'])
  })
})
