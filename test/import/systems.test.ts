import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { describe, it } from 'node:test'
import { parse } from 'csv-parse/sync'
import { CompactSign, compactVerify, type JWK } from 'jose'
import { vector, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { ImportRefused } from '../../src/errors.ts'
import { publicHalf } from '../../src/import/build-key.ts'
import { readDex } from '../../src/import/dex.ts'
import { readHydraSet, readHydraTable } from '../../src/import/hydra.ts'
import type { Imported, ImportedKey } from '../../src/import/imported-key.ts'
import { readJwksFile } from '../../src/import/jwks-file.ts'
import { readKeyFile } from '../../src/import/key-file.ts'
import { readKeycloak } from '../../src/import/keycloak.ts'
import { readOidcProvider } from '../../src/import/oidc-provider.ts'

interface ManifestKey {
  kid: string
  thumbprint: string
  alg?: string
  use?: string
  crv?: string
  public?: JWK
  jws?: string
  moreJws?: string[]
  state: 'active' | 'next' | 'retired' | 'disabled' | 'gone' | 'enc'
  published?: boolean
  publicOnly?: boolean
  x5c?: number
  expiry?: string
}

interface Entry {
  file: string
  case?: string
  expect: 'read' | 'refuse' | 'either'
  keys?: ManifestKey[] | string
  password?: string
  keyPassword?: string
  publicOnly?: boolean
  symmetric?: { kid: string }[]
  systemSecrets?: string[]
  published?: string
}

const NOW = Date.parse('2026-11-28T00:00:00Z') / 1000
const entriesOf = (system: string) =>
  vectorJson<{ entries: Entry[] }>(system, 'manifest.json').entries

/** Keys of an entry, or those of the other that it names. */
function keysOf(entry: Entry, all: readonly Entry[]): ManifestKey[] {
  if (Array.isArray(entry.keys)) return entry.keys
  const other = entry.keys?.replace(/^as in /, '')
  const found = all.find(({ file }) => file === other)?.keys
  assert.ok(Array.isArray(found), `${entry.file}: ${entry.keys}`)
  return found
}

/** A phase that the source cannot tell is none. */
function phaseFits(key: ImportedKey, { state, published }: ManifestKey): boolean {
  if (key.use === 'enc') return true
  if (published === false) return key.phaseHint === 'disabled'
  if (state === 'next') return key.phaseHint === undefined
  if (state === 'retired') return key.phaseHint === 'old' || key.phaseHint === undefined
  return key.phaseHint === state
}

async function assertKey(
  key: ImportedKey,
  expected: ManifestKey,
  { hasPrivate }: { hasPrivate: boolean },
) {
  assert.equal(key.thumbprint, expected.thumbprint)
  if (expected.alg) assert.equal(key.algorithm, expected.alg)
  assert.ok(phaseFits(key, expected), `${key.kid}: ${key.phaseHint} for ${expected.state}`)
  assert.equal(key.use === 'enc', expected.use === 'enc')
  if (expected.x5c !== undefined && hasPrivate) assert.equal(key.certificates.length, expected.x5c)
  if (expected.expiry) assert.equal(key.expiresAt, Math.ceil(Date.parse(expected.expiry) / 1000))
  if (key.use === 'enc') return
  assert.equal(key.private, hasPrivate && !expected.publicOnly)
  const publicKey = createPublicKey({ key: publicHalf(key.jwk) as never, format: 'jwk' })
  for (const jws of [expected.jws ?? [], expected.moreJws ?? []].flat())
    await compactVerify(jws, publicKey)
  if (!key.private) return
  const jws = await new CompactSign(Buffer.from('x'))
    .setProtectedHeader({ alg: key.algorithm })
    .sign(createPrivateKey({ key: key.jwk as never, format: 'jwk' }))
  await compactVerify(jws, publicKey)
}

async function assertKeys(
  { keys, left }: Imported,
  expected: readonly ManifestKey[],
  { hasPrivate = true, leftNames = [] as readonly string[] } = {},
) {
  assert.deepEqual(left.map(({ name }) => name).sort(), [...leftNames].sort())
  assert.deepEqual(keys.map(({ kid }) => kid).sort(), expected.map(({ kid }) => kid).sort())
  for (const one of expected) {
    const key = keys.find(({ kid }) => kid === one.kid)
    assert.ok(key)
    await assertKey(key, one, { hasPrivate })
  }
}

const keystores = () =>
  ['conf/chain.p12', 'conf/ec.jks'].map((name) => ({ name, bytes: vector('keycloak', name) }))

describe('what Keycloak exports', { skip: withoutVectors }, () => {
  const entries = entriesOf('keycloak')
  const symmetric = ['hmac-generated-hs512', 'aes-generated', 'mac']
  const read = (file: string, files = keystores()) =>
    readKeycloak(vector('keycloak', file), { name: file, files, now: NOW })

  for (const entry of entries) {
    const { file, expect, password, keyPassword } = entry
    if (expect === 'refuse') {
      it(`${file} is refused, because its secrets are masked`, () =>
        assert.rejects(read(file), { code: 'secrets_missing' }))
    } else if (password !== undefined) {
      it(`${file} opens with its passwords`, async () => {
        const { keys } = await readKeyFile(vector('keycloak', file), {
          name: file,
          password,
          keyPassword,
          now: NOW,
        })
        assert.deepEqual(
          keys.map(({ thumbprint }) => thumbprint),
          keysOf(entry, entries).map(({ thumbprint }) => thumbprint),
        )
      })
    } else if (entry.publicOnly) {
      it(`${file} is read for validation`, async () => {
        const { keys, left } = await read(file)
        assert.equal(left.length, symmetric.length)
        const disabled = keysOf(entry, entries)
        await assertKeys({ keys, left: [] }, disabled, { hasPrivate: false })
      })
    } else {
      it(`${file} is read with its keystores`, async () => {
        await assertKeys(await read(file), keysOf(entry, entries), { leftNames: symmetric })
      })
      it(`${file} is read without its keystores, which are named`, async () => {
        const expected = keysOf(entry, entries).filter(({ alg }) => !/^(RS|ES)384$/.test(alg ?? ''))
        const leftNames = [...symmetric, 'keystore-ec', 'keystore-chain']
        await assertKeys(await read(file, []), expected, { leftNames })
      })
    }
  }

  for (const moment of [1, 2, 3, 4]) {
    it(`jwks-${moment}.json and admin-keys-${moment}.json have the same keys`, async () => {
      const published = await readJwksFile(vector('keycloak', `jwks-${moment}.json`), {
        name: 'jwks',
      })
      const { keys } = await read(`admin-keys-${moment}.json`)
      const kids = keys.filter(({ phaseHint }) => phaseHint !== 'disabled').map(({ kid }) => kid)
      assert.deepEqual(published.keys.map(({ kid }) => kid).sort(), kids.sort())
    })
  }

  it('is the same from a dump of both tables, with components that are no keys', async () => {
    const csv = parse(vector('keycloak', 'component_config.csv'), { columns: true }) as Record<
      'id' | 'name' | 'provider_id' | 'key' | 'value',
      string
    >[]
    const quoted = (...cells: string[]) =>
      `(${cells.map((cell) => `'${cell.replaceAll("'", "''")}'`).join(',')})`
    const type = 'org.keycloak.keys.KeyProvider'
    const components = [...Map.groupBy(csv, ({ id }) => id).values()].flatMap(([row]) =>
      row ? [quoted(row.id, row.name, 'p', row.provider_id, type, 'r', '')] : [],
    )
    components.push(quoted('x', 'Trusted Hosts', 'p', 'trusted-hosts', 'org.other', 'r', ''))
    components.push(quoted('y', 'other realm', 'p', 'rsa-generated', type, 'r2', ''))
    const config = csv.map(({ id, key, value }, at) => quoted(String(at), id, key, value))
    config.push(quoted('a', 'x', 'max', '5'), quoted('b', 'y', 'priority', '9'))
    const dump = Buffer.from(
      `INSERT INTO COMPONENT VALUES ${components};\nINSERT INTO COMPONENT_CONFIG VALUES ${config};\n`,
    )
    const options = { name: 'dump.sql', files: keystores(), now: NOW }
    await assert.rejects(readKeycloak(dump, options), { code: 'realm_unknown' })
    const expected = entries.find(({ file }) => file === 'component_config.csv')
    assert.ok(expected)
    await assertKeys(
      await readKeycloak(dump, { ...options, realm: 'r' }),
      keysOf(expected, entries),
      { leftNames: symmetric },
    )
  })

  it('has no key to encrypt as its signer, also as Keycloak 12 writes its use', async () => {
    const realm = vectorJson<{
      realm: string
      components: Record<string, { name: string; config: Record<string, string[]> }[]>
    }>('keycloak', 'realm-export.json')
    const all = realm.components['org.keycloak.keys.KeyProvider'] ?? []
    const [first, second] = all.filter((one) => one.config.privateKey && !/enc/.test(one.name))
    assert.ok(first && second)
    const old = (name: string, { config }: typeof first, keyUse: string, priority: string) => {
      const { algorithm, ...rest } = config
      const whole = { ...rest, keyUse: [keyUse], priority: [priority] }
      return { id: name, name, providerId: 'rsa-generated', config: whole }
    }
    const providers = [old('e', first, 'enc', '200'), old('s', second, 'sig', '100')]
    const components = { 'org.keycloak.keys.KeyProvider': providers }
    const { keys } = await readKeycloak(Buffer.from(JSON.stringify({ realm: 'old', components })), {
      name: 'old.json',
      now: NOW,
    })
    assert.deepEqual(
      keys.map(({ use, phaseHint }) => [use, phaseHint]),
      [
        ['enc', undefined],
        ['sig', 'active'],
      ],
    )
  })

  it('is refused where it has another realm than the one that is asked for', () =>
    assert.rejects(
      readKeycloak(vector('keycloak', 'realm-export.json'), {
        name: 'FILE',
        realm: 'other',
        now: NOW,
      }),
      { code: 'realm_unknown' },
    ))
})

describe('what Hydra gives', { skip: withoutVectors }, () => {
  const entries = entriesOf('hydra')
  for (const entry of entries) {
    const { file, expect, systemSecrets: secrets = [] } = entry
    const of = entry.case ? `${file} ${entry.case}` : file
    if (file.startsWith('admin-keys')) {
      it(`${of} is read, the newest first`, async () => {
        const set = file.replace(/.*\/|\.json$/g, '')
        await assertKeys(
          await readHydraSet(vector('hydra', file), { name: file, set }),
          keysOf(entry, entries),
        )
      })
      continue
    }
    const read = () => readHydraTable(vector('hydra', file), { name: file, secrets })
    if (expect === 'refuse') {
      it(`${of} is refused`, () => assert.rejects(read(), { code: 'password_wrong' }))
    } else if (expect === 'either') {
      it(`${of} is read in part, and the other rows are named by set and kid`, async () => {
        const { keys, left } = await read()
        assert.equal(keys.length + left.length, 7)
        assert.equal(keys.length, 3)
        for (const { name, code } of left)
          assert.match(`${code} ${name}`, /^password_wrong hydra\.[\w.-]+\/./)
      })
    } else {
      it(`${of} is opened with the secrets`, async () => {
        const imported = await read()
        const expected = keysOf(entry, entries)
        const sets = vectorJson<{ keys: { kid: string }[] }>('hydra', 'jwks-3.json').keys.map(
          ({ kid }) => kid,
        )
        const published = expected.map((key) => ({
          ...key,
          published: file.includes('-3') ? sets.includes(key.kid) : true,
        }))
        await assertKeys(imported, published)
        assert.ok(imported.keys.every(({ createdAt }) => createdAt && createdAt > 1.7e9))
      })
    }
  }

  it('is one key for both halves of Hydra 1, under the kid that tokens have', async () => {
    const set = vectorJson<{ keys: JWK[] }>(
      'hydra',
      'admin-keys/1/hydra.openid.id-token.json',
    ).keys.slice(0, 1)
    const [jwk] = set
    assert.ok(jwk)
    const halves = [
      { ...jwk, kid: 'private:a' },
      { ...publicHalf(jwk), kid: 'public:a' },
      { ...publicHalf(jwk), kid: 'public:b' },
    ]
    const { keys } = await readHydraSet(Buffer.from(JSON.stringify({ keys: halves })), {
      name: 'hydra.openid.id-token.json',
    })
    assert.deepEqual(
      keys.map((key) => [key.kid, key.private, key.phaseHint]),
      [
        ['public:a', true, 'active'],
        ['public:b', false, 'old'],
      ],
    )
  })

  it('is refused where no secret is given', () =>
    assert.rejects(
      readHydraTable(vector('hydra', 'hydra_jwk-1.csv'), { name: 'FILE', secrets: [] }),
      {
        code: 'system_secrets_missing',
      },
    ))

  it('is refused where rows of two tenants are in it and none is named', async () => {
    const one = vector('hydra', 'hydra_jwk-1.csv').toString()
    const [header = '', first = '', second = ''] = one.trim().split('\n')
    const changed = [header, first, second.replace(/^([^,]+),[^,]+/, '$1,other-network')].join('\n')
    await assert.rejects(readHydraTable(Buffer.from(changed), { name: 'FILE', secrets: ['x'] }), {
      code: 'alias_unknown',
    })
  })
})

describe('the row of Dex', { skip: withoutVectors }, () => {
  const entries = entriesOf('dex')
  for (const entry of entries) {
    it(`is read from ${entry.file}`, async () => {
      const expected = keysOf(entry, entries).filter(({ state }) => state !== 'gone')
      await assertKeys(await readDex(vector('dex', entry.file), { name: entry.file }), expected)
    })
  }
})

describe('the keys of Dex in Kubernetes', { skip: withoutVectors }, () => {
  it('are read from its resource, alone and in a list', async () => {
    const [row] = vectorJson<Record<string, string>[]>('dex', 'sqlite3/keys.json')
    assert.ok(row)
    const json = (cell: string | undefined) => JSON.parse(cell ?? '') as unknown
    const resource = {
      apiVersion: 'dex.coreos.com/v1',
      kind: 'SigningKey',
      metadata: { name: 'openid-connect-keys', namespace: 'dex', ownerReferences: [] },
      nextRotation: '2026-11-27T04:49:33.539562565Z',
      signingKey: json(row.signing_key),
      signingKeyPub: json(row.signing_key_pub),
      verificationKeys: json(row.verification_keys),
    }
    const entries = entriesOf('dex')
    const entry = entries.find(({ file }) => file === 'sqlite3/keys.json')
    assert.ok(entry)
    const expected = keysOf(entry, entries).filter(({ state }) => state !== 'gone')
    const { verificationKeys, ...first } = resource
    for (const value of [resource, { apiVersion: 'v1', kind: 'List', items: [resource] }]) {
      const bytes = Buffer.from(JSON.stringify(value, null, 2))
      await assertKeys(await readDex(bytes, { name: 'keys.json' }), expected)
    }
    const { keys } = await readDex(Buffer.from(JSON.stringify(first)), { name: 'keys.json' })
    assert.equal(keys.length, 1)
  })

  it('are refused as YAML, with the command that writes JSON', () =>
    assert.rejects(readDex(Buffer.from('apiVersion: v1\nitems:\n'), { name: 'keys.yaml' }), {
      code: 'format_unsupported',
      message: /-o json/,
    }))
})

describe('keys that only encrypt in a JWKS', { skip: withoutVectors }, () => {
  it('are told by algorithm and curve, where they name no use', async () => {
    const set = vectorJson<{ keys: JWK[] }>('oidc-provider', 'published-1.json')
    const rsa = set.keys.find(({ kty }) => kty === 'RSA')
    const { use, ...jwk } = { ...rsa, kid: 'e', alg: 'RSA-OAEP-256' }
    const x = { kty: 'OKP', crv: 'X25519', kid: 'x', x: 'A'.repeat(43) }
    const unknown = { kty: 'XYZ', kid: 'u' }
    const { keys, left } = await readJwksFile(
      Buffer.from(JSON.stringify({ keys: [rsa, jwk, x, unknown] })),
      { name: 'jwks' },
    )
    assert.deepEqual(
      keys.map((key) => [key.kid, key.use]),
      [
        [rsa?.kid, 'sig'],
        ['e', 'enc'],
      ],
    )
    assert.deepEqual(
      left.map(({ kid, isHarmless }) => [kid, isHarmless]),
      [
        ['x', true],
        ['u', false],
      ],
    )
  })
})

describe('the jwks of oidc-provider', { skip: withoutVectors }, () => {
  const entries = entriesOf('oidc-provider')
  for (const entry of entries) {
    const expected = () => keysOf(entry, entries).filter(({ crv }) => crv !== 'X25519')
    it(`${entry.file} is read; the first key of each algorithm signs`, async () => {
      const imported = await readOidcProvider(vector('oidc-provider', entry.file), {
        name: entry.file,
      })
      await assertKeys(imported, expected(), { leftNames: ['enc-x'] })
    })
    it(`${entry.file} is the same in a whole configuration`, async () => {
      const jwks = vectorJson('oidc-provider', entry.file)
      const bytes = Buffer.from(JSON.stringify({ clients: [], jwks }))
      await assertKeys(await readOidcProvider(bytes, { name: entry.file }), expected(), {
        leftNames: ['enc-x'],
      })
    })
    it(`${entry.published} is read without phases`, async () => {
      const file = entry.published ?? ''
      const { keys } = await readJwksFile(vector('oidc-provider', file), { name: file })
      assert.deepEqual(
        keys.map(({ kid }) => kid),
        expected().map(({ kid }) => kid),
      )
      assert.ok(keys.every((key) => !key.private && key.phaseHint === undefined))
    })
  }
})

describe('an export that is too large', () => {
  it('is refused from 16 MiB on', async () => {
    const bytes = Buffer.alloc(16 * 1024 * 1024 + 1, ' ')
    for (const refused of [
      readKeycloak(bytes, { name: 'FILE', now: NOW }),
      readHydraSet(bytes, { name: 'FILE' }),
      readDex(bytes, { name: 'FILE' }),
      readOidcProvider(bytes, { name: 'FILE' }),
    ]) {
      await assert.rejects(
        refused,
        (error) => error instanceof ImportRefused && error.code === 'input_too_large',
      )
    }
  })
})
