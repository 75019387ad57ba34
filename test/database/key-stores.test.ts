import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { testKeyStore } from '../../src/conformance/key-store.ts'
import { createFileKeyStore } from '../../src/ring/file-key-store.ts'
import { createFileKeyStores } from '../../src/ring/file-key-stores.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { createMemoryKeyStores } from '../../src/ring/memory-key-stores.ts'

const [FIRST, SECOND] = ['https://issuer.example', 'https://elsewhere.example'] as const

testKeyStore({ describe, it }, 'memory', async () => {
  const store = createMemoryKeyStore()
  return { store, other: store, close: async () => {} }
})

testKeyStore({ describe, it }, 'memory of several issuers', async () => {
  const stores = createMemoryKeyStores()
  const store = stores.of(FIRST)
  return { store, other: store, elsewhere: stores.of(SECOND), close: async () => {} }
})

testKeyStore({ describe, it }, 'file system', async () => {
  const folder = await temporaryFolder()
  return {
    store: createFileKeyStore(folder.path),
    other: createFileKeyStore(folder.path),
    close: folder.remove,
  }
})

for (const [name, adopted] of [
  ['that has a folder like all others', undefined],
  ['whose keys are in the directory itself', FIRST],
  ['beside one whose keys are in the directory itself', SECOND],
] as const) {
  testKeyStore({ describe, it }, `file system of an issuer ${name},`, async () => {
    const folder = await temporaryFolder()
    const [stores, others] = [createFileKeyStores(folder.path), createFileKeyStores(folder.path)]
    if (adopted) await stores.adopt(adopted)
    return {
      store: stores.of(FIRST),
      other: others.of(FIRST),
      elsewhere: stores.of(SECOND),
      close: folder.remove,
    }
  })
}
