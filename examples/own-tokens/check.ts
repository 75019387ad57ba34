import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = `http://127.0.0.1:${process.env.PORT ?? 3000}`
const env = { ...process.env, ISSUER: issuer }
const service = spawn(process.execPath, ['service.ts'], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  await once(service.stdout, 'data')
  const token = await (await fetch(`${issuer}/token`)).text()
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`))
  const { protectedHeader } = await jwtVerify(token, keys, { issuer, audience: 'an-api' })
  console.log(`verified with key ${protectedHeader.kid}`)
} finally {
  service.kill()
}
