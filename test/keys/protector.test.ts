import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { generateKey } from '../../src/keys/generate.ts'
import { environmentProtector, fileProtector, openSealer } from '../../src/keys/protector.ts'
import { createMemoryKeyStore } from '../../src/store/memory-key-store.ts'
import { serializedKey } from '../conformance/key-store.ts'
import { temporaryFolder } from '../support/temporary.ts'

const secret = () => randomBytes(32).toString('base64url')

async function withFile(text: string | undefined, check: (path: string) => Promise<void>) {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'deep', 'kek.jwks')
  if (text !== undefined) {
    await mkdir(join(folder.path, 'deep'))
    await writeFile(path, text)
  }
  await check(path)
}

describe('the key-encryption key file', () => {
  it('is made on a first start, for its owner only, and is the same at the second', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      await openSealer(fileProtector(path), store)
      const text = await readFile(path, 'utf8')
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      await openSealer(fileProtector(path), store)
      assert.equal(await readFile(path, 'utf8'), text)
    }))

  it('is made once when several nodes start together', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      const protector = fileProtector(path)
      await Promise.all([1, 2, 3, 4].map(() => openSealer(protector, store)))
      assert.equal((await protector.load()).length, 1)
    }))

  it('is read again when a key needs one that was added since', () =>
    withFile(undefined, async (path) => {
      const sealer = await openSealer(fileProtector(path), createMemoryKeyStore())
      const { keys } = JSON.parse(await readFile(path, 'utf8'))
      keys.unshift({ kty: 'oct', k: secret() })
      await writeFile(path, JSON.stringify({ keys }))
      const newer = await openSealer(fileProtector(path), createMemoryKeyStore())
      const { kid, jwk } = await generateKey('ES256')
      const instants = { createdAt: 1, activatesAt: 1, retention: 1 }
      const facts = { kid, ring: 'sig/ES256', generation: 1, algorithm: 'ES256', ...instants }
      assert.equal((await sealer.open(await newer.seal(facts, jwk))).kid, kid)
    }))

  it('that is missing while keys are sealed under it is never replaced', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      await store.addKey(serializedKey(1))
      await assert.rejects(
        openSealer(fileProtector(path), store),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'kek_missing')
          assert.match(error.message, /1 keys are sealed under it/)
          return true
        },
      )
      await assert.rejects(stat(path), { code: 'ENOENT' })
    }))

  for (const text of ['', ' \n']) {
    it(`that is empty (${JSON.stringify(text)}) is another error than one that is missing`, () =>
      withFile(text, async (path) => {
        await assert.rejects(openSealer(fileProtector(path), createMemoryKeyStore()), {
          code: 'kek_empty',
        })
        assert.equal(await readFile(path, 'utf8'), text)
      }))
  }

  for (const [what, text] of [
    ['no JSON', '{'],
    ['no JWK Set', '[]'],
    ['an empty set', '{"keys":[]}'],
    ['a key that is too short', '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}'],
    ['an RSA key', '{"keys":[{"kty":"RSA","n":"x","e":"AQAB"}]}'],
  ] as const) {
    it(`that holds ${what} is unreadable, and stays as it is`, () =>
      withFile(text, async (path) => {
        await assert.rejects(openSealer(fileProtector(path), createMemoryKeyStore()), {
          code: 'kek_unreadable',
        })
        assert.equal(await readFile(path, 'utf8'), text)
      }))
  }

  it('that is a directory is unreadable', async () => {
    await using folder = await temporaryFolder()
    await assert.rejects(fileProtector(folder.path).load(), { code: 'kek_unreadable' })
  })

  it('that cannot be made says where and why', {
    skip: process.platform !== 'linux' && 'no /proc',
  }, async () => {
    const protector = fileProtector('/proc/kek.jwks')
    await assert.rejects(
      openSealer(protector, createMemoryKeyStore()),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'store_unavailable')
        assert.match(error.message, /\/proc\/kek\.jwks/)
        return true
      },
    )
  })
})

describe('key-encryption keys from the environment', () => {
  it('are a JWK Set or a list, newest first', async () => {
    const [a, b] = [secret(), secret()]
    const list = await environmentProtector(`${a}, ${b}`).load()
    const set = await environmentProtector(
      JSON.stringify({
        keys: [
          { kty: 'oct', k: a },
          { kty: 'oct', k: b },
        ],
      }),
    ).load()
    assert.deepEqual(list, set)
    assert.equal(Buffer.from(list[0]?.secret ?? []).toString('base64url'), a)
  })

  it('are missing, empty or unreadable, and never made up', async () => {
    const store = createMemoryKeyStore()
    for (const [text, code] of [
      [undefined, 'kek_missing'],
      ['', 'kek_empty'],
      ['short', 'kek_unreadable'],
      ['{"keys":', 'kek_unreadable'],
    ] as const) {
      await assert.rejects(openSealer(environmentProtector(text), store), { code })
    }
  })

  it('never stand in an error message', async () => {
    const text = `${secret()},not-a-key-but-still-secret`
    await assert.rejects(environmentProtector(text).load(), (error: Error) => {
      assert.ok(!error.message.includes('secret'))
      return true
    })
  })
})
