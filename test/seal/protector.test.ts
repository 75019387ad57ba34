import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { calculateJwkThumbprint } from 'jose'
import { temporaryFolder } from '../../lab/temporary.ts'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { generateKey } from '../../src/ring/generate.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { openSealer } from '../../src/ring/protector.ts'
import { createSealer } from '../../src/ring/seal.ts'
import { environmentProtector, fileProtector } from '../../src/seal/protector.ts'

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
      await openSealer(fileProtector(path), store, systemClock)
      const text = await readFile(path, 'utf8')
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      await openSealer(fileProtector(path), store, systemClock)
      assert.equal(await readFile(path, 'utf8'), text)
    }))

  it('is refused where it is no file or far too large', () =>
    withFile('x'.repeat(2 ** 20 + 1), async (path) => {
      await assert.rejects(fileProtector(path).load(), /cannot be read: it has more than 1048576/)
      await assert.rejects(fileProtector('/dev/zero').load(), /cannot be read: it is no file/)
      await assert.rejects(fileProtector('/dev').load(), /cannot be read: it is a directory/)
    }))

  it('is made once when several nodes start together', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      const protector = fileProtector(path)
      await Promise.all([1, 2, 3, 4].map(() => openSealer(protector, store, systemClock)))
      assert.equal((await protector.load()).length, 1)
    }))

  it('is found by a node that missed it before another one made it, and keys under it', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      const protector = fileProtector(path)
      const load = async () => {
        await openSealer(protector, store, systemClock)
        return store.load()
      }
      const { deployment } = await openSealer(protector, { ...store, load }, systemClock)
      const [secret] = (await store.load()).keys
      assert.equal(deployment.kid, secret?.id)
    }))

  it('is read again when a key needs one that was added since', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      const sealer = await openSealer(fileProtector(path), store, systemClock)
      const { keys } = JSON.parse(await readFile(path, 'utf8'))
      keys.unshift({ kty: 'oct', k: secret() })
      await writeFile(path, JSON.stringify({ keys }))
      const newer = await openSealer(fileProtector(path), store, systemClock)
      const { kid, jwk } = await generateKey('ES256')
      const instants = { createdAt: 1, activatesAt: 1, retention: 1 }
      const facts = { kid, ring: 'sig/ES256', generation: 1, algorithm: 'ES256', ...instants }
      assert.equal((await sealer.open(await newer.seal(facts, jwk, []))).kid, kid)
    }))

  it('that is missing while keys are sealed under it is never replaced', () =>
    withFile(undefined, async (path) => {
      const store = createMemoryKeyStore()
      await store.addKey(serializedKey(1))
      await assert.rejects(
        openSealer(fileProtector(path), store, systemClock),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'kek_missing')
          assert.match(error.message, /1 keys and the secret of the deployment are sealed under it/)
          return true
        },
      )
      await assert.rejects(stat(path), { code: 'ENOENT' })
    }))

  for (const text of ['', ' \n']) {
    it(`that is empty (${JSON.stringify(text)}) is another error than one that is missing`, () =>
      withFile(text, async (path) => {
        await assert.rejects(openSealer(fileProtector(path), createMemoryKeyStore(), systemClock), {
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
        await assert.rejects(openSealer(fileProtector(path), createMemoryKeyStore(), systemClock), {
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
      openSealer(protector, createMemoryKeyStore(), systemClock),
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
    assert.equal(list.length, 2)
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
      await assert.rejects(openSealer(environmentProtector(text), store, systemClock), { code })
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

describe('one key-encryption key, however it is spelt', () => {
  // Its base64 has both + and /, which base64url has not.
  const bytes = Buffer.from(`${'fbefbe'.repeat(10)}ffff`, 'hex')
  const [standard, url] = [bytes.toString('base64'), bytes.toString('base64url')]
  const set = (...ks: readonly string[]) =>
    JSON.stringify({ keys: ks.map((k) => ({ kty: 'oct', k })) })
  const load = async (text: string) => {
    const [first, ...others] = await environmentProtector(text).load()
    assert.ok(first)
    return { ...first, others }
  }
  /** RFC 7638, section 3, of the spelling that RFC 7518 has. */
  const thumbprint = createHash('sha256').update(`{"k":"${url}","kty":"oct"}`).digest('base64url')
  const spellings = [
    ['base64, as openssl rand -base64 prints it', standard],
    ['base64 without padding', standard.slice(0, -1)],
    ['base64url', url],
    ['base64url with padding', `${url}=`],
    ['base64url with a last character that says the same', url.replace(/.$/, '9')],
    ['a file that ends with a newline', `${standard}\n`],
    ['a JWK Set', set(url)],
    ['a JWK Set in base64', set(standard)],
    ['a JWK Set with a byte order mark', `\ufeff${set(`${url}=`)}`],
  ] as const

  it('is known by its bytes', async () => {
    assert.match(standard, /\+.*\//)
    assert.match(url, /8$/)
    for (const [what, text] of spellings) {
      const { kid, secret } = await load(text)
      assert.equal(kid, thumbprint, what)
      assert.deepEqual(Buffer.from(secret), bytes, what)
    }
    await withFile(set(standard), async (path) => {
      assert.equal((await fileProtector(path).load())[0]?.kid, thumbprint)
    })
  })

  it('opens under each spelling what it sealed under any other', async () => {
    const { kid, jwk } = await generateKey('ES256')
    const instants = { createdAt: 1, activatesAt: 1, retention: 1 }
    const facts = { kid, ring: 'sig/ES256', generation: 1, algorithm: 'ES256', ...instants }
    const store = createMemoryKeyStore()
    const sealers = await Promise.all(
      spellings.map(([, text]) => openSealer(environmentProtector(text), store, systemClock)),
    )
    for (const sealer of sealers) {
      const record = await sealer.seal(facts, jwk, [])
      for (const other of sealers) assert.equal((await other.open(record)).kid, kid)
    }
  })

  it('opens what was sealed when its spelling was taken for the key, and seals under its own kid', async () => {
    const plain = Buffer.from('0123456789abcdef0123456789abcdef')
    const padded = plain.toString('base64')
    const former = await calculateJwkThumbprint({ kty: 'oct', k: padded }, 'sha256')
    const { kid, jwk } = await generateKey('ES256')
    const instants = { createdAt: 1, activatesAt: 1, retention: 1 }
    const facts = { kid, ring: 'sig/ES256', generation: 1, algorithm: 'ES256', ...instants }
    const store = createMemoryKeyStore()
    const formerly = createSealer([{ kid: former, secret: plain }])
    const { deployment } = await openSealer(environmentProtector(padded), store, systemClock)
    const context = { deployment: deployment.kid, knows: [] }
    const old = await formerly.seal(facts, jwk, context)
    for (const text of [padded, padded.slice(0, -1)]) {
      const sealer = await openSealer(environmentProtector(text), store, systemClock)
      assert.equal((await sealer.open(old)).kid, kid)
      const { protectedBy } = await sealer.open(await sealer.seal(facts, jwk, []))
      assert.notEqual(protectedBy, former)
    }
  })

  for (const [what, text, problem] of [
    ['twice in a list', `${standard},${url}`, /keys 1 and 2 are the same/],
    ['twice in a set', set(secret(), url, `${url}=`), /keys 2 and 3 are the same/],
    ['in hexadecimal', bytes.toString('hex'), /64 hexadecimal digits/],
    [
      'with both alphabets',
      `${standard.slice(0, 20)}${url.slice(20)}`,
      /of which one key has only/,
    ],
    ['with a blank inside', `${url.slice(0, 20)} ${url.slice(20)}`, /has a blank/],
    ['with an invisible character', `${url.slice(0, 20)}\u200b${url.slice(20)}`, /has a blank/],
    ['as a pass phrase of 32 characters', 'correct-horse-battery-staple-123', /has 24 bytes/],
    ['with a comma behind', `${url},`, /key 2 of 2 has 0 bytes/],
    ['with two signs of padding', `${url}==`, /padding/],
    ['with other characters', `${url.slice(0, -1)}!`, /character that base64 has not/],
  ] as const) {
    it(`is refused ${what}, with the reason and nothing of the key`, async () => {
      await assert.rejects(environmentProtector(text).load(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'kek_unreadable')
        assert.match(error.message, problem)
        assert.ok(!error.message.includes(text.slice(0, 8)))
        return true
      })
    })
  }
})
