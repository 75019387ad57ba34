import assert from 'node:assert/strict'
import {
  createCipheriv,
  createHash,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
} from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { keyElement, revocationElement } from '../../src/data-protection/key-element.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { writeDuendeFile } from '../../src/import/duende-write.ts'
import { ticksOf } from '../../src/values/ticks.ts'
import { DAY, keyturnIn } from './keyturn.ts'

/** What would be lost stops an import until somebody accepts the loss; what nobody misses does not. */

interface Shown {
  readonly keys: readonly { readonly kid: string }[]
  readonly left: readonly { readonly name: string; readonly code: string }[]
}

/** A request for a certificate, whose key is in no other file. */
const REQUEST = `-----BEGIN CERTIFICATE REQUEST-----
MIHIMHACAQAwDjEMMAoGA1UEAwwDb2xkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEVzN54w8pPc0oNzdzLJ+60TZW8C5aOzHIeb1oey/frko8mHVqconbxTIGJ69F
A4FeBK+VGDIIcMAZm4oUsFcwl6AAMAoGCCqGSM49BAMCA0gAMEUCIQC60qwg1Hbt
TNLn34UiXDslG7l2qEZhmQmLiSZ8l2UDvwIgSJCLVq7uOqrbV5aW0H/AgaogjEXH
ySnZDzq/Ie4+5pg=
-----END CERTIFICATE REQUEST-----
`

type Cli = Awaited<ReturnType<typeof keyturnIn>>

const ago = (days: number) => ticksOf(new Date(Date.now() - days * DAY * 1000))

async function jwk(kid: string, alg = 'ES256'): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' }
}

async function written(cli: Cli, name: string, content: string | Uint8Array): Promise<string> {
  const path = join(cli.path, name)
  await writeFile(path, content)
  return path
}

const kids = ({ keys }: Shown) => keys.map(({ kid }) => kid)
const names = ({ left }: Shown) => left.map(({ name, code }) => `${name} ${code}`)

/** A directory with a key ring of ASP.NET Core, and its protector for IdentityServer. */
async function ringIn(folder: string) {
  await mkdir(folder)
  const id = randomUUID()
  const dates = { createdAt: ago(1), activatesAt: ago(1), expiresAt: ago(-80) }
  const { name, indented } = keyElement({ id, ...dates, secret: randomBytes(64) })
  await writeFile(join(folder, `${name}.xml`), indented)
  const ring = await openKeyRing({
    directory: folder,
    applicationName: 'old-login',
    now: () => new Date(),
  })
  const protector = ring.createProtector('DataProtectionKeyProtector')
  return {
    protect: (bytes: Uint8Array) => protector.protect(bytes),
    revoke: async () => {
      const revocation = revocationElement(id, ago(0), 'it leaked')
      await writeFile(join(folder, `${revocation.name}.xml`), revocation.indented)
    },
  }
}

type Protect = (bytes: Uint8Array) => Uint8Array

/** Writes the file of a key of IdentityServer. @returns its name */
async function duendeFile(
  folder: string,
  { kid, days, protect }: { kid: string; days: number; protect?: Protect },
): Promise<string> {
  const { kid: _, ...key } = await jwk(kid, 'RS256')
  const created = ago(days)
  const { name, bytes } = await writeDuendeFile(
    { jwk: key, kid, algorithm: 'RS256', createdAt: created, storedAt: created },
    protect,
  )
  await writeFile(join(folder, name), bytes)
  return name
}

/** Imports, and tells that a refusal has changed nothing. */
async function stops(cli: Cli, args: readonly string[]): Promise<string> {
  const { status, err, out } = await cli.run(['keys', 'import', ...args, '--apply'])
  assert.deepEqual([status, out], [1, ''], err)
  assert.match(err, /^\w+: Nothing was added, .* To accept the loss: --leave [^\n]+\n$/)
  assert.deepEqual(await cli.json(['keys', 'list']), [])
  return err
}

/** An empty store of IdentityServer, its key ring and that of another application. */
async function duendeIn(cli: Awaited<ReturnType<typeof keyturnIn>>) {
  const [folder, own] = [join(cli.path, 'keys'), join(cli.path, 'ring')]
  await mkdir(folder)
  return { folder, own, ring: await ringIn(own), other: await ringIn(join(cli.path, 'other')) }
}

describe('a key of IdentityServer that does not open', () => {
  it('stops --apply, which names it, why, and both ways on', async () => {
    await using cli = await keyturnIn()
    const { folder, own, ring, other } = await duendeIn(cli)
    await duendeFile(folder, { kid: 'CLEAR', days: 20 })
    await duendeFile(folder, { kid: 'OWN', days: 10, protect: ring.protect })
    const sealed = await duendeFile(folder, { kid: 'OTHER', days: 5, protect: other.protect })

    const without = await stops(cli, ['duende', folder])
    assert.match(without, /^unprotect_missing: .*key-OTHER\.json.*key-OWN\.json.*--key-ring DIR/)
    const args = ['duende', folder, '--key-ring', own, '--application', 'old-login']
    const wrong = await stops(cli, args)
    assert.match(wrong, /^unprotect_failed: .*key-OTHER\.json.*--key-ring DIR.*--leave is-sign/)
    const { out } = await cli.run(['keys', 'import', ...args])
    assert.match(out, /^--apply will refuse, .*key-OTHER\.json\. Mend .*--leave.*--key-ring DIR/m)

    for (const leave of [sealed, 'OTHER']) {
      const left = await cli.json<Shown>(['keys', 'import', ...args, '--leave', leave, '--apply'])
      assert.deepEqual(kids(left), ['CLEAR', 'OWN'])
      assert.deepEqual(Object.keys(left.left[0] ?? {}), ['name', 'code', 'reason'])
      assert.deepEqual(names(left), [`${sealed} unprotect_failed`])
    }
    // What is here already needs no opening.
    await rm(join(folder, sealed))
    const again = await cli.json<Shown>(['keys', 'import', 'duende', folder, '--apply'])
    assert.deepEqual(kids(again), ['CLEAR'])
    assert.equal((await cli.json(['keys', 'list'])).length, 2)
  })

  it('stops nothing once it has left the JWKS, or IdentityServer cannot open it either', async () => {
    await using cli = await keyturnIn()
    const { folder, own, ring, other } = await duendeIn(cli)
    await duendeFile(folder, { kid: 'CLEAR', days: 20 })
    await duendeFile(folder, { kid: 'GONE', days: 105, protect: other.protect })
    await duendeFile(folder, { kid: 'REVOKED', days: 10, protect: ring.protect })
    await ring.revoke()
    const shown = await cli.json<Shown>([
      ...['keys', 'import', 'duende', folder, '--key-ring', own, '--application', 'old-login'],
      '--apply',
    ])
    assert.deepEqual(kids(shown), ['CLEAR'])
    assert.deepEqual(
      shown.left.map(({ code }) => code),
      ['unprotect_failed', 'unprotect_failed'],
    )
  })

  it('stops nothing once it was revoked here, and does where it is half-written', async () => {
    await using cli = await keyturnIn()
    const folder = join(cli.path, 'keys')
    await mkdir(folder)
    const { protect } = await ringIn(join(cli.path, 'other'))
    await duendeFile(folder, { kid: 'FIRST', days: 20 })
    const second = await duendeFile(folder, { kid: 'SECOND', days: 10 })
    await writeFile(join(folder, 'is-signing-key-HALF.json'), '{"Version":1,"Id":"HA')
    const half = await stops(cli, ['duende', folder])
    assert.match(half, /^input_truncated: .*is-signing-key-HALF\.json/)
    await rm(join(folder, 'is-signing-key-HALF.json'))
    await cli.json(['keys', 'import', 'duende', folder, '--apply'])
    await cli.json(['keys', 'revoke', 'SECOND'])
    await rm(join(folder, second))
    await duendeFile(folder, { kid: 'SECOND', days: 10, protect })
    const shown = await cli.json<Shown>(['keys', 'import', 'duende', folder, '--apply'])
    assert.deepEqual(kids(shown), ['FIRST'])
  })
})

describe('a key of Keycloak', () => {
  const pkcs8 = () =>
    generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs8', format: 'der' })
      .toString('base64')
  const provider = (name: string, providerId: string, config: Record<string, string>) => ({
    id: randomUUID(),
    name,
    providerId,
    config: Object.fromEntries(Object.entries(config).map(([key, value]) => [key, [value]])),
  })
  const realm = (...providers: readonly object[]) =>
    JSON.stringify({
      realm: 'harbour',
      components: { 'org.keycloak.keys.KeyProvider': providers },
    })
  const inFile = { keystore: '/opt/keys.p12', keystorePassword: 'secret', keyAlias: 'one' }

  it('stops --apply where its keystore is missing, unless it is disabled or encrypts', async () => {
    await using cli = await keyturnIn()
    const good = provider('good', 'rsa', { privateKey: pkcs8(), priority: '100' })
    const stored = provider('stored', 'java-keystore', inFile)
    const unused = [
      provider('disabled', 'java-keystore', { ...inFile, enabled: 'false' }),
      provider('encrypts', 'java-keystore', { ...inFile, keyUse: 'ENC' }),
      provider('hmac', 'hmac-generated', { secret: 'x' }),
    ]
    const source = await written(cli, 'realm.json', realm(good, stored, ...unused))
    const refused = await stops(cli, ['keycloak', source])
    assert.match(refused, /^keystore_missing: .*keys\.p12.*With: --files DIR.*--leave stored\n$/)
    const unneeded = await written(cli, 'other.json', realm(good, ...unused))
    const shown = await cli.json<Shown>(['keys', 'import', 'keycloak', unneeded, '--apply'])
    assert.deepEqual(names(shown).toSorted(), [
      ...['disabled keystore_missing', 'encrypts keystore_missing', 'hmac key_symmetric'],
    ])
    assert.equal(shown.keys.length, 1)
  })
})

describe('a key that cannot come in', () => {
  it('stops --apply where relying parties may verify with it', async () => {
    await using cli = await keyturnIn()
    const { n: _, ...broken } = await jwk('broken', 'RS256')
    const hostile = { ...broken, kid: 'x\n\u202eadmin;rm -rf' }
    const keys = [await jwk('good'), broken, hostile, await jwk('wide', 'ES512')]
    const source = await written(cli, 'jwks.json', JSON.stringify({ keys }))
    const refused = await stops(cli, ['jwks', source])
    const ways = "--leave wide --leave broken --leave 'x??admin;rm -rf'"
    assert.match(refused, /^import_incomplete: .*wide \(ring_missing\).*broken \(key_malformed\)/)
    assert.ok(refused.endsWith(`${ways}\n`), refused)
    const shown = await cli.json<Shown>([
      ...['keys', 'import', 'jwks', source, '--leave', 'wide', '--leave', 'broken'],
      ...['--leave', 'x??admin;rm -rf', '--apply'],
    ])
    assert.deepEqual(kids(shown), ['good'])
  })

  it('stops nothing where it is for encryption, symmetric, or the certificate alone', async () => {
    await using cli = await keyturnIn()
    const { x: _, ...broken } = await jwk('for encryption')
    const keys = [
      await jwk('good'),
      { ...broken, use: 'enc' },
      { kty: 'oct', kid: 'shared', k: 'c2VjcmV0' },
    ]
    const source = await written(cli, 'jwks.json', JSON.stringify({ keys }))
    const shown = await cli.json<Shown>(['keys', 'import', 'jwks', source, '--apply'])
    assert.deepEqual(names(shown), ['for encryption key_malformed', 'shared key_symmetric'])
  })

  it('stops --apply where its row of Hydra opens with no secret, unless the set is unpublished', async () => {
    await using cli = await keyturnIn()
    const secrets = await written(cli, 'secrets', 'the newest secret\n')
    const row = async (sid: string, kid: string, secret: string, at: number) => {
      const nonce = randomBytes(12)
      const cipher = createCipheriv(
        'aes-256-gcm',
        createHash('sha256').update(secret).digest(),
        nonce,
      )
      const text = JSON.stringify(await jwk(kid, 'RS256'))
      const sealed = [nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]
      const keydata = Buffer.concat(sealed).toString('base64url')
      return { sid, kid, created_at: `2026-11-0${at} 10:00:00`, keydata }
    }
    const open = [
      await row('hydra.openid.id-token', 'new', 'the newest secret', 3),
      await row('of.an.application', 'closed', 'forgotten', 2),
    ]
    const closed = await row('hydra.openid.id-token', 'old', 'forgotten', 1)
    const all = await written(cli, 'all.json', JSON.stringify([...open, closed]))
    const refused = await stops(cli, ['hydra', all, '--secrets-file', secrets])
    assert.match(refused, /^password_wrong: .*--secrets-file FILE.*--leave hydra\.openid\S+old\n$/)
    const some = await written(cli, 'some.json', JSON.stringify(open))
    const args = ['keys', 'import', 'hydra', some, '--secrets-file', secrets, '--apply']
    assert.deepEqual(kids(await cli.json<Shown>(args)), ['new'])
  })

  it('stops --apply where a file of a directory needs a password, and a request for a certificate does not', async () => {
    await using cli = await keyturnIn()
    const folder = join(cli.path, 'pems')
    await mkdir(folder)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { privateKey: locked } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = { type: 'pkcs8', format: 'pem' } as const
    await writeFile(join(folder, 'open.pem'), privateKey.export(pem))
    await writeFile(
      join(folder, 'locked.pem'),
      locked.export({ ...pem, cipher: 'aes-256-cbc', passphrase: 'secret' }),
    )
    const refused = await stops(cli, ['pem', folder])
    assert.match(refused, /^password_missing: .*--password-file FILE.*--leave locked\.pem\n$/)
    await rm(join(folder, 'locked.pem'))
    await writeFile(join(folder, 'request.pem'), REQUEST)
    const shown = await cli.json<Shown>(['keys', 'import', 'pem', folder, '--apply'])
    assert.deepEqual(names(shown), ['request.pem format_unsupported'])
    assert.equal(shown.keys.length, 1)
  })
})
