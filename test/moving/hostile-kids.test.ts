import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { readJwks } from '../../src/import/jwk-set.ts'
import { adopt } from '../../src/moving/adopt.ts'
import { carryIn, presentOf } from '../../src/moving/operate.ts'
import { createRings } from '../../src/ring/rings.ts'
import { ringView } from '../../src/ring/view.ts'
import { keyturnIn } from '../cli/keyturn.ts'
import { DATABASES, openMigrated } from '../support/databases.ts'
import { POLICY, policiesOf } from '../support/rings.ts'
import { testSealer } from '../support/sealer.ts'

/** Kids that a collation, a trim or a normal form would take for each other are kept apart, byte by byte. */

const KIDS: readonly string[] = [
  ...['key', 'KEY', 'Key', 'kéy', 'ke\u0301y', 'kêy', 'key ', 'key  ', ' key', 'key\u00a0'],
  ...['key\u3000', 'key.', 'key\u200b', 'k\u00adey', '\ufeffkey', 'key\ufe0f', 'ｋｅｙ', 'ᴋᴇʏ'],
  ...['ß', 'ss', 'ẞ', 'SS', 'ﬁ', 'fi', 'ı', 'i', 'İ', 'I', 'i\u0307', 'Å', '\u212b', 'A\u030a'],
  ...['か', 'カ', 'ｶ', 'が', 'か\u3099', '한', '\u1112\u1161\u11ab', 'Ω', '\u2126', 'ω', 'ς', 'σ'],
  ...['🔑', '🔒', '👩‍💻', '👩💻', '👨🏽', '👨', '\u{10ffff}', '\uffff', '\ue000', 'א', '\u202ekey'],
  ...['1', '１', '١', '²', '٠', 'key%', 'key_', 'key\\', "key'--", 'key"', '`key`', '$1'],
  ...['__proto__', 'constructor', 'null', 'NaN', '../key', 'key\u2028', '%00', '\\u0000', '&#0;'],
  ...['鍵'.repeat(255), '🔑'.repeat(255), '🔒'.repeat(255), `e${'\u0301'.repeat(254)}`],
  ...[`${'x'.repeat(254)}y`, `${'x'.repeat(254)}Y`, `${'x'.repeat(254)} `, 'x'.repeat(254)],
]
/** Kids that no store keeps as they are, or that nobody can read. */
const REFUSED = [
  ...['', ' ', '\u00a0\u3000', 'a\0b', '\0', 'a\nb', '\tkey', 'key\u0085', '\ud800', 'key\udc00'],
  ...['x'.repeat(256), '🔑'.repeat(256)],
]
const NOW = 1_800_000_000
const policies = policiesOf({ ...POLICY, retention: 86_400 })
const ORDER = { now: NOW, policies, actor: 'test', reason: 'test' }

async function jwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256' }
}

async function signed(key: JWK): Promise<string> {
  const header = { alg: 'ES256', kid: key.kid ?? '' }
  return new SignJWT({ sub: key.kid ?? '' }).setProtectedHeader(header).sign(await importJWK(key))
}

/** Most keys of a JWKS. */
const AT_ONCE = 10

for (const database of DATABASES) {
  describe(`kids in ${database.name}`, { skip: database.skip }, () => {
    it('are kept, published and found as they are, beside all that look alike', async () => {
      await using fresh = await database.create()
      await using opened = await openMigrated(fresh)
      const { dataSource } = opened
      const sealer = testSealer()
      assert.equal(new Set(KIDS).size, KIDS.length)
      for (let at = 0; at < KIDS.length; at += AT_ONCE) {
        const kids = KIDS.slice(at, at + AT_ONCE)
        const store = createSqlKeyStore(dataSource, `https://${at}.example`)
        const rings = createRings({ store, sealer })
        const keys = await Promise.all(kids.map(jwk))
        const imported = await readJwks({ keys }, { source: 'test' })
        assert.deepEqual(imported.left, [])
        for (const _ of ['once', 'again']) {
          const before = await rings.load()
          const work = { store, openSealer: async () => sealer, witness: undefined }
          await carryIn(adopt(imported, await presentOf(before), ORDER), before, work)
        }
        const loaded = await rings.load()
        assert.deepEqual(loaded.keys.map(({ kid }) => kid).toSorted(), kids.toSorted())
        const { jwks } = ringView(loaded, policies, NOW)
        const published = createLocalJWKSet(JSON.parse(JSON.stringify(jwks)))
        for (const key of keys) {
          const { payload, protectedHeader } = await jwtVerify(await signed(key), published)
          assert.deepEqual([payload.sub, protectedHeader.kid], [key.kid, key.kid])
        }
      }
    })

    it('are shown and revoked one by one by commands', async () => {
      await using fresh = await database.create()
      await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: fresh.url })
      await cli.withStores(async () => {})
      const kids = ['key', 'KEY', 'key ', 'kéy', 'ke\u0301y', '🔑', '🔒', 'ß', '🔑'.repeat(255)]
      const keys = await Promise.all([...kids, ...REFUSED].map(jwk))
      const source = join(cli.path, 'jwks.json')
      await writeFile(source, JSON.stringify({ keys }))
      const args = ['keys', 'import', 'jwks', source]
      const { left } = await cli.json<{ left: { name: string; code: string }[] }>(args)
      assert.deepEqual(
        left.map(({ code }) => code),
        REFUSED.map(() => 'kid_malformed'),
      )
      const leave = left.flatMap(({ name }) => ['--leave', name])
      await cli.json([...args, ...leave, '--apply'])
      for (const kid of kids) {
        const { publicJwk } = await cli.json<{ publicJwk: JWK }>(['keys', 'show', kid])
        const own = keys.find((key) => key.kid === kid)
        assert.deepEqual([publicJwk.kid, publicJwk.x], [kid, own?.x])
      }
      for (const kid of ['KEY', 'key ', '🔒']) {
        const { revoked } = await cli.json<{ revoked: string[] }>(['keys', 'revoke', kid])
        assert.deepEqual(revoked, [kid])
      }
      const { phase } = await cli.json<{ phase: string }>(['keys', 'show', 'key'])
      assert.equal(phase, 'active')
    })
  })
}
