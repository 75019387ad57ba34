import { temporaryFolder } from '../../lab/temporary.ts'
import { createFileKeyStore } from '../../src/ring/file-key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { testKeyStore } from '../conformance/key-store.ts'

testKeyStore('memory', async () => {
  const store = createMemoryKeyStore()
  return { store, other: store, close: async () => {} }
})

testKeyStore('file system', async () => {
  const folder = await temporaryFolder()
  return {
    store: createFileKeyStore(folder.path),
    other: createFileKeyStore(folder.path),
    close: folder.remove,
  }
})
