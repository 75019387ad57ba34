import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'

// Run in an empty folder: the application before and after, with the same keys.

const issuer = `http://127.0.0.1:${process.env.PORT ?? 3000}`
const { privateKey } = await generateKeyPair('RS256', { extractable: true })
writeFileSync('jwks.json', JSON.stringify({ keys: [await exportJWK(privateKey)] }))

async function start(program: string): Promise<ChildProcess> {
  const env = { ...process.env, ISSUER: issuer }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

async function getToken(): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('job:an-example-secret-that-everybody-knows')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
  })
  return ((await response.json()) as { access_token: string }).access_token
}

const before = await start('before.ts')
const old = await getToken()
await stop(before)

const after = await start('after.ts')
try {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`))
  const first = await jwtVerify(old, keys, { issuer })
  const second = await jwtVerify(await getToken(), keys, { issuer })
  assert.equal(second.protectedHeader.kid, first.protectedHeader.kid)
  const published = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: unknown[] }
  assert.equal(published.keys.length, 2)
  console.log('the key of the application signs on, and the next one is published')
} finally {
  await stop(after)
}
