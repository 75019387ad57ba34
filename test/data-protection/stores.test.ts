import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import { keyElement, revocationElement } from '../../src/data-protection/key-element.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { openRingStore } from '../../src/data-protection/open-store.ts'
import { assembleRing } from '../../src/data-protection/ring.ts'
import { TICKS_PER_DAY, ticksOf } from '../../src/values/ticks.ts'
import { emptyDirectory, RING_PLACES } from './empty-rings.ts'
import { ENTRIES, openEntry, storedElements } from './vectors.ts'

const NOW = ticksOf('2026-11-28T14:00:00Z')
const now = () => new Date('2026-11-28T14:00:00Z')

function newKey(id = randomUUID()) {
  const secret = randomBytes(64)
  const dates = { createdAt: NOW, activatesAt: NOW, expiresAt: NOW + 90n * TICKS_PER_DAY }
  return keyElement({ id, secret, ...dates })
}

for (const { name, skip, create } of RING_PLACES) {
  describe(`a key ring in ${name}`, { skip }, () => {
    it('gives back what was added, as ASP.NET Core writes it', async () => {
      await using ring = await create()
      await using store = disposable(await openRingStore(ring.source))
      const key = newKey()
      const empty = await store.read()
      assert.deepEqual(empty.elements, [])
      assert.equal(await store.append(key, empty.version), true)
      const { elements, version } = await store.read()
      const revocation = revocationElement(key.name.slice('key-'.length), NOW, 'a & <b>')
      assert.equal(await store.append(revocation, version), true)
      const { keys } = assembleRing((await store.read()).elements, [])
      assert.deepEqual(
        keys.map(({ revoked, isUsable }) => ({ revoked, isUsable: isUsable() })),
        [{ revoked: true, isUsable: true }],
      )
      const [first] = elements
      const text = first?.content && 'text' in first.content ? first.content.text : ''
      assert.ok(text.endsWith(ring.source.directory ? key.indented : key.line))
    })

    it('is read without texts that are too large, alone or together', async () => {
      await using ring = await create()
      const key = newKey()
      const filler = (size: number) => `<other>${'x'.repeat(size)}</other>`
      const large = Array.from({ length: 11 }, () => filler(3_100_000))
      await ring.add([key.line])
      for (const text of large) await ring.add([text])
      await ring.add([`<revocation>${filler(3_200_000)}</revocation>`])
      await using store = disposable(await openRingStore(ring.source))
      const { elements, version } = await store.read()
      const read = elements.flatMap(({ content }) => (content && 'text' in content ? content : []))
      assert.deepEqual(
        read.map(({ text }) => text),
        [key.line],
      )
      const left = elements.flatMap(({ content }) =>
        content && 'problem' in content ? content : [],
      )
      assert.equal(left.length, 12)
      for (const { problem } of left) assert.equal(problem.code, 'xml_too_large')
      assert.equal(left.filter(({ mayRevoke }) => mayRevoke).length, 1)
      assert.equal(await store.append(newKey(), version), true)
    })

    it('leaves out nothing that is added while it is read, however large it is', async () => {
      await using ring = await create()
      await using store = disposable(await openRingStore(ring.source))
      const texts = Array.from({ length: 100 }, (_, i) => `<other>${'x'.repeat(100 * i)}</other>`)
      const adding = ring.add(texts)
      const found = []
      do found.push((await store.read()).elements)
      while ((found.at(-1)?.length ?? 0) < texts.length)
      await adding
      for (const { content } of found.flat()) assert.ok(content && 'text' in content)
    })

    it('takes one element of several nodes that read the same ring', async () => {
      await using ring = await create()
      const stores = await Promise.all([1, 2, 3].map(() => openRingStore(ring.source)))
      try {
        for (let round = 0; round < 4; round++) {
          const versions = await Promise.all(stores.map((store) => store.read()))
          const added = await Promise.all(
            stores.map((store, i) => store.append(newKey(), versions[i]?.version ?? '')),
          )
          assert.ok(added.filter(Boolean).length <= 1)
          assert.equal((await stores[0]?.read())?.elements.length, round + 1)
        }
      } finally {
        await Promise.all(stores.map((store) => store.close()))
      }
    })

    it('takes nothing where ASP.NET Core added a key meanwhile', async () => {
      await using ring = await create()
      await using store = disposable(await openRingStore(ring.source))
      const { version } = await store.read()
      await ring.add([newKey().line])
      assert.equal(await store.append(newKey(), version), false)
      assert.equal((await store.read()).elements.length, 1)
    })

    it('is read as the vectors are', { skip: withoutVectors }, async () => {
      const entry = ENTRIES.find(({ kind }) => kind === 'redis')
      assert.ok(entry)
      await using ring = await create()
      await ring.add(storedElements(entry) as string[])
      await using opened = await openEntry(entry, { ...ring.source, elements: undefined } as never)
      await using expected = await openEntry(entry)
      const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
      assert.deepEqual(opened.keys.toSorted(byId), expected.keys.toSorted(byId))
      assert.deepEqual(opened.problems, [])
      assert.equal(opened.defaultKey(entry.at).key, entry.defaultKey)
    })
  })
}

function disposable<T extends { close(): Promise<void> }>(store: T) {
  return { ...store, [Symbol.asyncDispose]: () => store.close() }
}

describe('a directory of a key ring', () => {
  it('holds whole files that only their owner can read, as .NET makes them', async () => {
    await using ring = await emptyDirectory()
    const directory = ring.source.directory ?? ''
    const store = await openRingStore(ring.source)
    const key = newKey()
    await store.append(key, (await store.read()).version)
    assert.deepEqual(await readdir(directory), [`${key.name}.xml`])
    const path = join(directory, `${key.name}.xml`)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const text = await readFile(path, 'utf8')
    assert.ok(text.startsWith('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<key id="'))
    assert.ok(text.endsWith('</key>'))
  })

  it('lets the next node complete what one left behind that died', async () => {
    await using ring = await emptyDirectory()
    const directory = ring.source.directory ?? ''
    const store = await openRingStore(ring.source)
    const { version } = await store.read()
    const left = newKey()
    const claim = join(directory, `keyturn-${version}.claim`)
    await writeFile(claim, JSON.stringify({ name: left.name, indented: left.indented }))
    assert.equal(await store.append(newKey(), version), false)
    assert.deepEqual(await readdir(directory), [`${left.name}.xml`])
  })

  it('passes over what one left behind for a ring that has changed since', async () => {
    await using ring = await emptyDirectory()
    const directory = ring.source.directory ?? ''
    const store = await openRingStore(ring.source)
    const { version } = await store.read()
    const left = newKey()
    const claim = join(directory, `keyturn-${version}.claim`)
    await writeFile(claim, JSON.stringify({ name: left.name, indented: left.indented }))
    await ring.add([newKey().line])
    assert.equal(await store.append(newKey(), version), false)
    assert.equal((await store.read()).elements.length, 1)
    const after = await store.read()
    assert.equal(await store.append(newKey(), after.version), true)
    assert.equal((await store.read()).elements.length, 2)
  })

  it('has nothing written elsewhere by a claim that no node made, and goes on', async () => {
    for (const claimed of [
      JSON.stringify({ name: '../elsewhere', indented: '<key/>' }),
      JSON.stringify({ name: 'key-\0', indented: '<key/>' }),
      JSON.stringify({ name: 'key-1', indented: 5 }),
      'null',
      '{"name"',
      '',
    ]) {
      await using ring = await emptyDirectory()
      const directory = ring.source.directory ?? ''
      const store = await openRingStore(ring.source)
      const { version } = await store.read()
      await writeFile(join(directory, `keyturn-${version}.claim`), claimed)
      assert.equal(await store.append(newKey(), version), false)
      assert.deepEqual(await readdir(directory), [], claimed)
      assert.ok(!existsSync(join(dirname(directory), 'elsewhere.xml')))
      assert.equal(await store.append(newKey(), version), true)
    }
  })

  it('that goes away is told with what to do', async () => {
    await using ring = await emptyDirectory()
    const store = await openRingStore(ring.source)
    const { version } = await store.read()
    await rm(ring.source.directory ?? '', { recursive: true })
    await assert.rejects(store.append(newKey(), version), { code: 'ring_unavailable' })
    await assert.rejects(store.read(), { code: 'ring_unavailable', message: /mount or make it/ })
  })
})

describe('a store that does not answer', () => {
  it('is told by a code: Redis, PostgreSQL and a SQLite file that is not there', async () => {
    for (const source of [
      { redis: 'redis://127.0.0.1:1' },
      { database: 'postgres://nobody@127.0.0.1:1/none' },
      { database: 'sqlite:/nowhere/none.db' },
    ]) {
      await assert.rejects(openKeyRing({ ...source, now }), { code: 'ring_unavailable' })
    }
  })
})
