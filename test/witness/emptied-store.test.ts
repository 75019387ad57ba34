import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serializedKey } from '../../src/conformance/records.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { assertNotEmptied } from '../../src/witness/emptied-store.ts'
import { createMemoryWitness } from '../../src/witness/memory-witness.ts'
import { witnessed } from '../../src/witness/witness.ts'
import { seen } from '../support/witness.ts'

function setUp() {
  const store = createMemoryKeyStore()
  const witness = createMemoryWitness()
  const note = () =>
    witness.update((before) => witnessed(before, seen({ generations: { 'sig/ES256': 1 } })))
  return { store, witness, note }
}

describe('an empty key store', () => {
  it('is refused if the witness remembers a key', async () => {
    const { store, witness, note } = setUp()
    await note()
    await assert.rejects(assertNotEmptied(witness, store), { code: 'store_outdated' })
  })

  it('is none if another node makes its first key and notes it while the witness is asked', async () => {
    const { store, witness, note } = setUp()
    const read = async () => {
      await store.addKey(serializedKey(1))
      return note()
    }
    await assertNotEmptied({ ...witness, read }, store)
  })
})
