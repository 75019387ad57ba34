import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chooseIssuer } from '../../src/config/choose-issuer.ts'
import { configJsonSchema, shownSettings } from '../../src/config/show.ts'
import { load, violationsOf } from './sources.ts'

const TWO = `
pages: { name: Everybody's }
tokens: { idToken: 30m }
issuers:
  - issuer: https://one.example
  - issuer: https://two.example/tenant
    pages: { name: Tenant }
    rotation: { cryptoperiod: 30d }
`

describe('a configuration with several issuers', () => {
  test('gives each issuer the settings of all and its own', (t) => {
    const { issuers } = load(t, TWO)
    assert.deepEqual(
      issuers.map(({ issuer, pages, tokens, rotation }) => [
        ...[issuer, pages.name, tokens.idToken, rotation.cryptoperiod],
      ]),
      [
        ['https://one.example', "Everybody's", 1800, 90 * 86_400],
        ['https://two.example/tenant', 'Tenant', 1800, 30 * 86_400],
      ],
    )
  })

  test('is set in part by environment variables that name the place of an entry', (t) => {
    const { issuers } = load(t, TWO, { KEYTURN_ISSUERS__1__TOKENS__ID_TOKEN: '20m' })
    assert.deepEqual(
      issuers.map(({ tokens }) => tokens.idToken),
      [1800, 1200],
    )
  })

  test('replaces the rings of all by those of an entry', (t) => {
    const text = `issuers: [{ issuer: https://one.example, rotation: { rings: { sig/ES256: } } }]\nresources: []`
    const [one] = load(t, text).issuers
    assert.deepEqual(Object.keys(one?.rotation.rings ?? {}), ['sig/ES256', 'cookie'])
  })

  test('is shown with the differences of each entry', (t) => {
    const shown = shownSettings(load(t, TWO))
    assert.equal('issuer' in shown, false)
    assert.deepEqual(shown.issuers, [
      { issuer: 'https://one.example' },
      {
        issuer: 'https://two.example/tenant',
        pages: { name: 'Tenant' },
        rotation: { cryptoperiod: '30d' },
      },
    ])
  })

  test('names the issuer of a warning, unless all issuers have it', (t) => {
    const { warnings } = load(
      t,
      TWO.replace('30d', '20d').replace('rotation: {', 'rotation: { jwksMaxAge: 30m,'),
    )
    assert.ok(warnings.every((warning) => !warning.startsWith('Issuer https://one.example')))
    assert.equal(warnings.filter((warning) => /trustedProxies/.test(warning)).length, 1)
  })
})

describe('a configuration with several issuers is refused', () => {
  const cases: readonly (readonly [title: string, text: string, path: string, words: RegExp])[] = [
    ['with issuer beside issuers', `issuer: https://a.example\n${TWO}`, 'issuer', /both set/],
    ['without an entry', 'issuers: []', 'issuers', /at least one entry/],
    [
      'with an entry that has no issuer',
      'issuers: [{ pages: { name: A } }]',
      'issuers.0.issuer',
      /missing/,
    ],
    [
      'with the same issuer twice',
      'issuers: [{ issuer: https://a.example }, { issuer: https://a.example }]',
      ...(['issuers.1.issuer', /two entries/] as const),
    ],
    [
      'with the same host and path under two schemes',
      'issuers: [{ issuer: http://localhost }, { issuer: https://localhost }]',
      ...(['issuers.1.issuer', /same host and path/] as const),
    ],
    [
      'with hosts that differ in the dot at their end only',
      'issuers: [{ issuer: https://a.example/t }, { issuer: https://a.example./t }]',
      ...(['issuers.1.issuer', /same host and path/] as const),
    ],
    [
      'with paths that differ in case only',
      'issuers: [{ issuer: https://a.example/T }, { issuer: https://a.example/t }]',
      ...(['issuers.1.issuer', /same host and path/] as const),
    ],
    [
      'with a path that begins with another',
      'issuers: [{ issuer: https://a.example/t/u }, { issuer: https://a.example/t }]',
      ...(['issuers.1.issuer', /one path begins with the other/] as const),
    ],
    [
      'with a path beside the root of its host',
      'issuers: [{ issuer: https://a.example }, { issuer: https://a.example/t }]',
      ...(['issuers.1.issuer', /one path begins with the other/] as const),
    ],
    [
      'with a database of one issuer',
      'issuers: [{ issuer: https://a.example, database: { url: "sqlite:./a.db" } }]',
      ...(['issuers.0.database', /belongs to the process/] as const),
    ],
    [
      'with a witness of one issuer',
      'issuers: [{ issuer: https://a.example, rotation: { witness: none } }]',
      ...(['issuers.0.rotation.witness', /belongs to the process/] as const),
    ],
    [
      'with an unknown setting',
      'issuers: [{ issuer: https://a.example, rotation: { cryptoperoid: 1d } }]',
      ...(['issuers.0.rotation.cryptoperoid', /no setting has this name/] as const),
    ],
    [
      'with an unsafe policy of one issuer',
      TWO.replace('cryptoperiod: 30d', 'propagation: 1m'),
      ...(['issuers.1.rotation.propagation', /issuer https:\/\/two.example\/tenant/] as const),
    ],
  ]
  for (const [title, text, path, words] of cases) {
    test(title, (t) => {
      const violations = violationsOf(t, text)
      const found = violations.find((violation) => violation.path === path)
      assert.ok(found, JSON.stringify(violations))
      assert.match(found.message, words)
    })
  }

  test('once, at the top level, if all issuers inherit the setting', (t) => {
    const text = TWO.replace('tokens: { idToken: 30m }', 'tokens: { idToken: never }')
    const paths = violationsOf(t, text).map(({ path }) => path)
    assert.deepEqual(paths, ['tokens.idToken'])
  })
})

test('choosing none of two issuers is refused with a list of both', (t) => {
  const config = load(t, TWO)
  assert.equal(chooseIssuer(config, 'https://one.example').issuer, 'https://one.example')
  assert.throws(() => chooseIssuer(config), {
    code: 'issuer_not_named',
    message: /:\n {2}https:\/\/one.example\n {2}https:\/\/two.example\/tenant/,
  })
  assert.throws(() => chooseIssuer(config, 'https://three.example'), { code: 'issuer_not_found' })
})

test('the JSON Schema of an entry has its settings, and none of the process', () => {
  const { properties } = configJsonSchema() as { properties: Record<string, { items: Node }> }
  const entry = properties.issuers?.items
  assert.deepEqual(entry?.required, ['issuer'])
  assert.ok(entry?.properties.rotation?.properties?.cryptoperiod)
  assert.equal(entry?.properties.rotation?.properties?.witness, undefined)
  assert.equal(entry?.properties.database, undefined)
})

interface Node {
  readonly required: readonly string[]
  readonly properties: Record<string, { readonly properties?: Record<string, object> }>
}
