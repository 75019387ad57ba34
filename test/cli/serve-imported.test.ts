import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose'
import { stringify } from 'yaml'
import { freePort } from '../../lab/free-port.ts'
import { API, SECRET } from '../../lab/server.ts'
import { VECTORS, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { keyturnIn } from './keyturn.ts'

/** A server on keys of each system, and relying parties whose cache is from the old one. */

interface Move {
  readonly system: string
  readonly source: string
  readonly options?: readonly string[]
  /** As the old system published it. */
  readonly jwks: () => JSONWebKeySet
}

const inVectors = (...path: readonly string[]) => join(VECTORS, ...path)
const published =
  (...path: readonly string[]) =>
  () =>
    vectorJson<JSONWebKeySet>(...path)

const MOVES: readonly Move[] = [
  {
    system: 'duende',
    source: inVectors('duende/three-keys/keys'),
    options: [
      ...['--key-ring', inVectors('duende/three-keys/ring'), '--application', 'harbour-login'],
      // So that its keys are of use whenever this test runs.
      ...['--rotation', '3650d', '--retention', '70d'],
    ],
    jwks: published('duende/three-keys/jwks.json'),
  },
  {
    system: 'keycloak',
    source: inVectors('keycloak/realm-export.json'),
    options: ['--files', inVectors('keycloak/conf')],
    jwks: published('keycloak/jwks-4.json'),
  },
  {
    system: 'hydra',
    source: inVectors('hydra/admin-keys/3'),
    jwks: published('hydra/jwks-3.json'),
  },
  {
    system: 'dex',
    source: inVectors('dex/sqlite3/keys.csv'),
    jwks: published('dex/sqlite3/jwks-4.json'),
  },
  {
    system: 'oidc-provider',
    source: inVectors('oidc-provider/jwks-3.json'),
    jwks: published('oidc-provider/published-3.json'),
  },
  {
    system: 'jwks',
    source: inVectors('oidc-provider/jwks-1.json'),
    jwks: published('oidc-provider/published-1.json'),
  },
  {
    system: 'pem',
    source: inVectors('pem/rsa-pkcs8.pem'),
    jwks: () => {
      const { entries } = vectorJson<{
        entries: { file: string; keys: { thumbprint: string; public: object }[] }[]
      }>('pem', 'manifest.json')
      const keys = entries.find(({ file }) => file === 'rsa-pkcs8.pem')?.keys ?? []
      return {
        keys: keys.map((key) => ({ kty: 'RSA', ...key.public, kid: key.thumbprint, alg: 'RS256' })),
      }
    },
  },
]

interface Shown {
  readonly keys: readonly { readonly kid: string; readonly phase: string }[]
  readonly left: readonly { readonly name: string; readonly code: string }[]
}

/** Milliseconds until a server has noticed what a command did. */
const PATIENCE = 60_000

async function serving({ system, source, options = [] }: Move) {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const cli = await keyturnIn()
  const config = join(cli.path, 'keyturn.yaml')
  const settings = {
    issuer,
    http: { port },
    management: { port: 0 },
    rotation: { refreshInterval: '1s', rings: { 'sig/RS256': {}, cookie: {} } },
    resources: [{ identifier: API, scopes: ['read'], algorithm: 'RS256' }],
    clients: [
      {
        client_id: 'machine',
        client_secret: SECRET,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        resources: { [API]: ['read'] },
      },
    ],
  }
  await writeFile(config, stringify(settings))
  const command = <T>(args: readonly string[]) => cli.json<T>(['--config', config, ...args])
  const args = ['keys', 'import', system, source, ...options]
  const { left } = await command<Shown>(args)
  const lost = left.flatMap(({ name, code }) => (code === 'ring_missing' ? ['--leave', name] : []))
  const imported = await command<Shown>([...args, ...lost, '--apply'])
  const server = spawn(
    process.execPath,
    cli.command(['--config', config, 'serve']),
    cli.spawnOptions,
  )
  const ended = once(server, 'exit')
  let banner = ''
  for await (const chunk of server.stdout) {
    banner += chunk
    if (banner.includes('Keyturn is running.')) break
  }
  const stop = async () => {
    server.kill('SIGTERM')
    await ended
    await cli[Symbol.asyncDispose]()
  }
  return { issuer, imported, command, [Symbol.asyncDispose]: stop }
}

async function json<T>(url: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(url, init)
  assert.ok(answer.ok, `${url}: ${answer.status} ${await answer.clone().text()}`)
  return (await answer.json()) as T
}

describe('a server on keys that moved in', { skip: withoutVectors }, () => {
  for (const move of MOVES) {
    it(`signs for relying parties that hold the JWKS of the old system, and turns: ${move.system}`, async () => {
      await using keyturn = await serving(move)
      const { issuer, imported, command } = keyturn
      const discovery = await json<Record<'token_endpoint' | 'jwks_uri', string>>(
        `${issuer}/.well-known/openid-configuration`,
      )
      const tokenOf = async () => {
        const body = new URLSearchParams({
          ...{ grant_type: 'client_credentials', client_id: 'machine', client_secret: SECRET },
          ...{ resource: API, scope: 'read' },
        })
        const { access_token: token } = await json<{ access_token: string }>(
          discovery.token_endpoint,
          { method: 'POST', body },
        )
        return { token, kid: decodeProtectedHeader(token).kid }
      }
      const old = move.jwks()
      const atOld = createLocalJWKSet(old)
      const expected = { issuer, audience: API }

      const signer = imported.keys.find(({ phase }) => phase === 'active')
      const { keys } = await json<JSONWebKeySet>(discovery.jwks_uri)
      const own = keys.find(({ kid }) => kid === signer?.kid)
      const theirs = old.keys.find(({ kid }) => kid === signer?.kid)
      assert.ok(theirs)
      assert.deepEqual(
        [own?.n, own?.e, own?.x5c, own?.x5t],
        [theirs.n, theirs.e, theirs.x5c, theirs.x5t],
      )

      const first = await tokenOf()
      assert.equal(first.kid, signer?.kid, 'the old signer signs on')
      await jwtVerify(first.token, createRemoteJWKSet(new URL(discovery.jwks_uri)), expected)
      await jwtVerify(first.token, atOld, expected)

      const rows = await command<{ kid: string; ring: string; phase: string }[]>(['keys', 'list'])
      const next = rows.find(({ ring, phase }) => ring === 'sig/RS256' && phase === 'pre-active')
      assert.ok(next, 'a key waits that relying parties can see')
      await command(['keys', 'promote', next.kid, '--force'])
      const deadline = performance.now() + PATIENCE
      let second = await tokenOf()
      while (second.kid === first.kid && performance.now() < deadline) {
        // Time for the server, which would otherwise sign tokens and do nothing else.
        await delay(50)
        second = await tokenOf()
      }
      assert.equal(second.kid, next.kid)
      const atNew = createRemoteJWKSet(new URL(discovery.jwks_uri))
      await jwtVerify(second.token, atNew, expected)
      await jwtVerify(first.token, atNew, expected)
    })
  }
})
