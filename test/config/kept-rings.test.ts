import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { configText, shownSettings } from '../../src/config/show.ts'
import { broken, load, temporaryFile, violationsOf } from './sources.ts'

const DAY = 86_400

describe('dataProtection.rings', () => {
  test('are taken with what is usual, durations in seconds', (t) => {
    const { dataProtection } = load(
      t,
      'dataProtection: { rings: [{ name: shop, directory: /keys, lead: 20d }] }',
    )
    assert.deepEqual(dataProtection.rings, [
      { name: 'shop', directory: '/keys', certificates: [], lead: 20 * DAY },
    ])
  })

  test('are there for every issuer, and an entry of issuers has none of its own', (t) => {
    const rings = 'dataProtection: { rings: [{ name: shop, directory: /keys }] }'
    const entries = (own: string) =>
      `issuers:\n  - { issuer: https://a.example${own} }\n  - { issuer: https://b.example }\n`
    assert.equal(load(t, `${rings}\n${entries('')}`).dataProtection.rings.length, 1)
    assert.deepEqual(broken(violationsOf(t, entries(`, ${rings}`))), [
      'issuers.0.dataProtection: setting-of-the-process',
    ])
  })

  test('are told all that is wrong with them at once, and once for all issuers', (t) => {
    const text = `
dataProtection:
  rings:
    - { name: no blanks, directory: /a }
    - { name: shop, directory: /keys, table: keys, lifetime: 5d }
    - { name: shop, directory: /keys/ }
    - { name: nowhere, notice: 1d, lead: 60d }
    - name: everywhere
      redis: redis://127.0.0.1
      database: sqlite:keys.db
      certificates: [{ file: a.pfx, password: hush, passwordFile: b }]
      colour: red
issuers: [{ issuer: https://a.example }, { issuer: https://b.example }]
`
    // What the schema refuses hides the rules between settings, so that comes by itself.
    assert.deepEqual(broken(violationsOf(t, text)), [
      'dataProtection.rings.0.name: format',
      'dataProtection.rings.4.colour: unknown-setting',
    ])
    const well = text.replace('no blanks', 'blanks').replace('      colour: red\n', '')
    const violations = violationsOf(t, well)
    assert.deepEqual(broken(violations).toSorted(), [
      'dataProtection.rings.1.lead: data-protection-policy',
      'dataProtection.rings.1.lifetime: data-protection-policy',
      'dataProtection.rings.1.table: data-protection-place',
      'dataProtection.rings.2.name: repeated',
      'dataProtection.rings.2: repeated',
      'dataProtection.rings.3.lead: data-protection-policy',
      'dataProtection.rings.3.notice: data-protection-policy',
      'dataProtection.rings.3: data-protection-place',
      'dataProtection.rings.4.certificates.0: set-twice',
      'dataProtection.rings.4: data-protection-place',
    ])
    assert.doesNotMatch(JSON.stringify(violations), /hush/)
  })

  test('are shown without passwords', (t) => {
    const config = load(
      t,
      `dataProtection:
  rings:
    - name: shop
      database: postgres://keeper:hush@db.example/app
      certificates: [{ file: ring.pfx, password: hush }]`,
    )
    assert.doesNotMatch(configText(config), /hush/)
    assert.deepEqual(shownSettings(config).dataProtection, {
      rings: [
        {
          name: 'shop',
          database: 'postgres://keeper:***@db.example/app',
          certificates: [{ file: 'ring.pfx', password: '***' }],
        },
      ],
    })
  })

  test('get a URL and a password from files that the environment names', (t) => {
    const url = temporaryFile(t, 'postgres://keeper:hush@db.example/app\n', 'url')
    const { dataProtection } = load(
      t,
      'dataProtection: { rings: [{ name: shop, certificates: [{ file: ring.pfx }] }] }',
      {
        KEYTURN_DATA_PROTECTION__RINGS__0__DATABASE_FILE: url,
        KEYTURN_DATA_PROTECTION__RINGS__0__CERTIFICATES__0__PASSWORD_FILE: '/run/password',
      },
    )
    assert.deepEqual(dataProtection.rings, [
      {
        name: 'shop',
        database: 'postgres://keeper:hush@db.example/app',
        certificates: [{ file: 'ring.pfx', passwordFile: '/run/password' }],
      },
    ])
  })

  test('without a certificate are warned of', (t) => {
    const { warnings } = load(t, 'dataProtection: { rings: [{ name: shop, directory: /keys }] }')
    assert.ok(
      warnings.some((warning) =>
        /data-protection\/shop stores secrets of new keys unencrypted/.test(warning),
      ),
    )
  })
})
