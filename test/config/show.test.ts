import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { readDefaults } from '../../src/config/file.ts'
import { loadConfig } from '../../src/config/load.ts'
import { settingTree } from '../../src/config/setting-tree.ts'
import { configJsonSchema, configText, shownSettings } from '../../src/config/show.ts'
import { isMap, settingsBelow } from '../../src/schema/tree.ts'
import { load } from './sources.ts'

test('the text of the defaults equals default.yaml', () => {
  const shown = parse(configText(loadConfig({ env: {} })))
  // Where there is one issuer, its list is not shown; 60s and 1m are the same.
  assert.deepEqual(
    { ...shown, issuers: null },
    JSON.parse(JSON.stringify(readDefaults()).replaceAll('"60s"', '"1m"')),
  )
})

test('the shown settings can be loaded again, to the same effect', (t) => {
  const text =
    'rotation: { retention: 5401s, rings: { sig/RS256: } }\nclients: [{ client_id: a, token_endpoint_auth_method: none, redirect_uris: [https://a.example/] }]'
  const { warnings, origins: _, ...settings } = load(t, text)
  const { origins: __, ...again } = load(t, configText({ ...settings, warnings, origins: {} }))
  assert.deepEqual(again, { ...settings, warnings })
})

test('a comment tells the source of a value that is not a default', (t) => {
  const text = configText(load(t, 'http:\n  port: 1\n', { KEYTURN_LOG__LEVEL: 'warn' }))
  assert.match(text, /port: 1 # .*keyturn\.yaml, line 2\n/)
  assert.match(text, /level: warn # KEYTURN_LOG__LEVEL\n/)
  assert.match(text, /host: 127\.0\.0\.1\n/)
})

test('secrets are masked, and only secrets', (t) => {
  const config = load(
    t,
    'clients: [{ client_id: a, client_secret: topsecret, redirect_uris: [https://a.example/] }]',
    { KEYTURN_SEAL__PROTECTOR: 'environment', KEYTURN_SEAL__KEYS: 'A'.repeat(43) },
  )
  assert.doesNotMatch(configText(config), /topsecret|AAAA/)
  const shown = shownSettings(config)
  assert.deepEqual(shown.clients, [
    { client_id: 'a', client_secret: '***', redirect_uris: ['https://a.example/'] },
  ])
  assert.deepEqual(shown.password, readDefaults().password)
})

test('default.yaml has every setting and no other', () => {
  const defaults = readDefaults()
  const missing = settingsBelow(settingTree(), defaults).filter(({ path, node }) => {
    if (path[1] === 'rings' && path.length > 2) return false
    if (node.deprecated === true) return false
    const parent = path.slice(0, -1).reduce<unknown>((value, name) => {
      return isMap(value) || Array.isArray(value) ? Reflect.get(value, name) : undefined
    }, defaults)
    return !isMap(parent) && !Array.isArray(parent)
      ? true
      : !Object.hasOwn(parent, path.at(-1) ?? '')
  })
  assert.deepEqual(missing, [])
  assert.doesNotThrow(() => loadConfig({ env: {} }))
})

test('every setting has a description for editors', () => {
  const silent = settingsBelow(settingTree(), readDefaults()).filter(({ path, node }) => {
    const isRing = path[1] === 'rings' && path.length === 3
    return !isRing && path[0] !== 'claims' && typeof node.description !== 'string'
  })
  assert.deepEqual(
    silent.map(({ path }) => path.join('.')),
    [],
  )
})

test('the JSON Schema accepts default.yaml and files with fewer settings', () => {
  // Reading it back into a validator checks that it is a JSON Schema and means what it should.
  const schema = z.fromJSONSchema(configJsonSchema() as z.core.JSONSchema.JSONSchema)
  assert.ok(schema.safeParse(readDefaults()).success)
  assert.ok(schema.safeParse({}).success)
  assert.ok(
    schema.safeParse({ http: { port: 1 }, rotation: { rings: { 'sig/RS256': null } } }).success,
  )
  for (const wrong of [
    { isuer: 'x' },
    { http: { prot: 1 } },
    { http: { port: '1' } },
    { tokens: { session: '14 days' } },
    { rotation: { rings: { 'sig/HS256': {} } } },
    { clients: [{ client_name: 'x' }] },
  ]) {
    assert.equal(schema.safeParse(wrong).success, false, JSON.stringify(wrong))
  }
})

test('the JSON Schema carries descriptions and defaults', () => {
  const schema = JSON.parse(JSON.stringify(configJsonSchema()))
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
  assert.equal(schema.properties.http.properties.port.default, 3000)
  assert.match(schema.properties.http.properties.port.description, /Port/)
  assert.equal(schema.properties.seal.properties.keys.writeOnly, true)
  assert.equal(schema.required, undefined)
})
