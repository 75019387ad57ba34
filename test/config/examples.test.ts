import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { rotationPolicies } from '../../src/config/policies.ts'

const example = (name: string) => fileURLToPath(new URL(`../../config/${name}`, import.meta.url))

test('the demonstration turns keys in minutes, within all bounds, and warns of it', () => {
  const config = oneIssuer(loadConfig({ file: example('demo.yaml'), env: {} }))
  const { policyFor } = rotationPolicies(config)
  assert.equal(policyFor('sig/RS256').cryptoperiod, 180)
  assert.equal(policyFor('sig/RS256').propagation, 90)
  assert.ok(policyFor('cookie').retention >= config.tokens.session)
  assert.match(config.warnings.join(), /fast profile/)
  assert.equal(config.clients[0]?.client_id, 'demo')
  assert.equal(config.resources[0]?.algorithm, 'ES256')
})

test('the production example loads with its key-encryption keys from the environment', () => {
  const env = { KEYTURN_SEAL__KEYS: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY' }
  const config = loadConfig({ file: example('production.example.yaml'), env })
  assert.equal(config.environment, 'production')
  assert.equal(config.seal.protector, 'environment')
  assert.equal(config.seal.keys, env.KEYTURN_SEAL__KEYS)
})

test('the configuration for the conformance suite has the clients that its page names', () => {
  const config = oneIssuer(loadConfig({ file: example('conformance.yaml'), env: {} }))
  const page = readFileSync(example('../docs/conformance.md'), 'utf8')
  const suite = JSON.parse(/```json\n(.+?)```/s.exec(page)?.[1] ?? '')
  for (const { client_id, client_secret } of [
    suite.client,
    suite.client2,
    suite.client_secret_post,
  ]) {
    const client = config.clients.find((each) => each.client_id === client_id)
    assert.equal(client?.client_secret, client_secret)
    assert.ok(client?.redirect_uris?.[0]?.endsWith(`/test/a/${suite.alias}/callback`))
  }
  assert.equal(`${config.issuer}/.well-known/openid-configuration`, suite.server.discoveryUrl)
  assert.deepEqual(config.warnings, [])
})
