import assert from 'node:assert/strict'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, type TestContext } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { createFileKeyStores } from '../../src/ring/file-key-stores.ts'

const [FIRST, OLD, NEW] = ['https://a.example', 'https://b.example', 'https://c.example'] as const
const KEY = serializedKey(1)

/** Lets files be renamed so often only, as if the process were killed then. @returns what undoes it */
function cutOffAfter(t: TestContext, renames: number): () => void {
  const original = files.rename
  let left = renames
  const mock = t.mock.method(files, 'rename', async (from: string, to: string) => {
    left--
    if (left < 0) throw new Error('cut off')
    await original(from, to)
  })
  syncBuiltinESMExports()
  return () => {
    mock.mock.restore()
    syncBuiltinESMExports()
  }
}

describe('a directory of keys', () => {
  it('is told by its name and setting where a file is in its place', async () => {
    await using folder = await temporaryFolder()
    const path = `${folder.path}/keys`
    await files.writeFile(path, '')
    await assert.rejects(createFileKeyStores(path).of(FIRST).load(), {
      code: 'store_unavailable',
      message:
        /^Cannot read the directory of keys .*keys.* \(keyStore\.path\): a file is in the place/,
    })
  })
})

describe('renaming an issuer whose keys are in a folder', () => {
  for (const [when, renames] of [
    ['the new owner was written', 0],
    ['the folder moved', 1],
  ] as const) {
    it(`that was cut off before ${when} keeps its keys and is finished by a repeat`, async (t) => {
      await using folder = await temporaryFolder()
      const stores = createFileKeyStores(folder.path)
      await stores.adopt(FIRST)
      await stores.of(OLD).addKey(KEY)
      const mend = cutOffAfter(t, renames)
      await assert.rejects(stores.rename(OLD, NEW), /cut off/)
      mend()

      const owner = renames === 0 ? OLD : NEW
      const again = createFileKeyStores(folder.path)
      assert.deepEqual(await again.issuers(), [owner])
      assert.deepEqual((await again.of(owner).load()).keys, [KEY])

      await again.rename(OLD, NEW)
      const after = createFileKeyStores(folder.path)
      assert.deepEqual(await after.issuers(), [NEW])
      assert.deepEqual((await after.of(NEW).load()).keys, [KEY])
      assert.deepEqual((await after.of(OLD).load()).keys, [])
      await after.rename(OLD, NEW)
      assert.deepEqual((await after.of(NEW).load()).keys, [KEY], 'a second repeat did harm')
    })
  }

  it('never gives the keys to the former URL while it is not finished', async (t) => {
    await using folder = await temporaryFolder()
    const stores = createFileKeyStores(folder.path)
    await stores.of(OLD).addKey(KEY)
    const mend = cutOffAfter(t, 1)
    await assert.rejects(stores.rename(OLD, NEW), /cut off/)
    mend()
    await assert.rejects(stores.of(OLD).load(), /rename .*b\.example to .*c\.example again/)
    await stores.rename(OLD, NEW)
    assert.deepEqual((await stores.of(OLD).load()).keys, [])
  })

  it('removes no keys of the other URL', async () => {
    await using folder = await temporaryFolder()
    const stores = createFileKeyStores(folder.path)
    await stores.of(OLD).addKey(KEY)
    await stores.of(NEW).addKey(serializedKey(2))
    await assert.rejects(stores.rename(OLD, NEW), { code: 'store_unavailable' })
    assert.deepEqual((await stores.of(NEW).load()).keys, [serializedKey(2)])
    assert.deepEqual((await stores.of(OLD).load()).keys, [KEY])
  })
})
