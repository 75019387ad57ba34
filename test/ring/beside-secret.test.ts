import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serializedKey } from '../../src/conformance/records.ts'
import { besideSecret } from '../../src/ring/beside-secret.ts'
import { DEPLOYMENT_RING, isDeploymentRecord } from '../../src/ring/deployment.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'

describe('the keys of an issuer beside the secret of the deployment', () => {
  it('are not read without the secret if a first start makes both between two reads', async () => {
    const [own, shared] = [createMemoryKeyStore(), createMemoryKeyStore()]
    let isStarted = false
    const startAfterLoad = (store: KeyStore): KeyStore => ({
      ...store,
      load: async () => {
        const loaded = await store.load()
        if (isStarted) return loaded
        isStarted = true
        await shared.addKey(serializedKey(1, { ring: DEPLOYMENT_RING }))
        await own.addKey(serializedKey(2))
        return loaded
      },
    })
    const { keys } = await besideSecret(startAfterLoad(own), startAfterLoad(shared)).load()
    assert.ok(keys.length === 0 || keys.some(isDeploymentRecord))
  })
})
