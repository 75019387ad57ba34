import { join } from 'node:path'
import { migrate, openDatabase } from '../../src/store/database.ts'
import { createFileKeyStore } from '../../src/store/file-key-store.ts'
import { createMemoryKeyStore } from '../../src/store/memory-key-store.ts'
import { createSqlKeyStore } from '../../src/store/sql-key-store.ts'
import { testKeyStore } from '../conformance/key-store.ts'
import { temporaryFolder } from '../support/temporary.ts'

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

testKeyStore('SQLite', async () => {
  const folder = await temporaryFolder()
  const url = `sqlite:${join(folder.path, 'test.db')}`
  const [one, two] = [await openDatabase(url), await openDatabase(url)]
  await migrate(one)
  return {
    store: createSqlKeyStore(one),
    other: createSqlKeyStore(two),
    close: async () => {
      await one.destroy()
      await two.destroy()
      await folder.remove()
    },
  }
})
