import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as oidc from 'openid-client'

const origin = `http://127.0.0.1:${process.env.PORT ?? 3000}`
const env = { ...process.env, ORIGIN: origin }
const app = spawn(process.execPath, ['app.ts'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
try {
  await once(app.stdout, 'data')
  assert.equal(await (await fetch(origin)).text(), 'Welcome')
  const secret = 'an-example-secret-that-everybody-knows'
  const issuer = new URL(`${origin}/oidc`)
  const execute = [oidc.allowInsecureRequests]
  const config = await oidc.discovery(issuer, 'job', secret, undefined, { execute })
  const { jwks_uri } = config.serverMetadata()
  assert.equal(jwks_uri, `${origin}/oidc/jwks`)
  const { keys } = (await (await fetch(jwks_uri ?? '')).json()) as { keys: unknown[] }
  assert.equal(keys.length, 2)
  const tokens = await oidc.clientCredentialsGrant(config)
  assert.equal(tokens.token_type, 'bearer')
  console.log('the provider answers under /oidc, with a key that signs and the next one')
} finally {
  app.kill()
}
