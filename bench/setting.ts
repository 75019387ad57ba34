import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Settings that all servers under test share: client, resources and lifetimes (those of
 * `config/default.yaml`), RSA keys of 2048 bits and P-256 keys.
 */

/** Issuer without port, because each server takes a free one and requests contain only the path. */
export const ISSUER = 'http://127.0.0.1'

/** APIs whose access tokens are JWTs. Without a resource, access tokens are opaque. */
export const RESOURCES = {
  RS256: 'https://rs256.example',
  ES256: 'https://es256.example',
} as const

export const CLIENT = {
  client_id: 'bench',
  client_secret: 'a-secret-that-only-the-benchmark-knows',
  redirect_uris: ['https://rp.example/callback'],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  response_types: ['code'],
  scope: 'openid profile email offline_access',
  token_endpoint_auth_method: 'client_secret_basic',
  resources: { [RESOURCES.RS256]: ['read'], [RESOURCES.ES256]: ['read'] },
  // Refreshes are measured with rotation, their most expensive form.
  refresh_token_rotation: 'always',
}

export const AUTHORIZATION = `Basic ${Buffer.from(
  `${CLIENT.client_id}:${CLIENT.client_secret}`,
).toString('base64')}`

export const PERSON = { username: 'ada', password: 'correct horse battery' }

/** The least allowed cost, because the check of a password is timed separately. */
export const CHEAPEST_ARGON2 = { memoryKiB: 7168, passes: 1, parallelism: 1 }

/** PKCE verifier (RFC 7636); its value does not affect the cost. */
export const CODE_VERIFIER = 'benchmark'.repeat(5)
export const CODE_CHALLENGE = createHash('sha256').update(CODE_VERIFIER).digest('base64url')

export interface ConfigOptions {
  readonly clients?: readonly object[]
  readonly ports?: { readonly http: number; readonly management: number }
  readonly keyStore?: object
  readonly database?: object
  readonly redis?: object
  /** True for a server that takes a passed socket. */
  readonly socketActivation?: boolean
  /** Name of the file without its ending, for several servers on one folder. */
  readonly name?: string
}

/** Writes a config file for a server that keeps everything in `folder`. @returns its path */
export function writeConfig(
  folder: string,
  {
    clients = [CLIENT],
    ports = { http: 0, management: 0 },
    socketActivation = false,
    name = 'keyturn',
    ...more
  }: ConfigOptions = {},
): string {
  const limit = 1_000_000
  const config = {
    issuer: ISSUER,
    http: { port: ports.http, socketActivation },
    management: { port: ports.management },
    database: { url: `sqlite:${join(folder, 'keyturn.db')}` },
    seal: { file: join(folder, 'kek.jwks') },
    clients,
    resources: Object.entries(RESOURCES).map(([algorithm, identifier]) => ({
      identifier,
      scopes: ['read'],
      algorithm,
    })),
    // All requests come from one address and one person.
    signIn: { perAccountAndAddress: limit, perAddress: limit, perAccount: limit },
    password: { argon2: CHEAPEST_ARGON2 },
    log: { format: 'json' },
    ...more,
  }
  const path = join(folder, `${name}.yaml`)
  // JSON is valid YAML.
  writeFileSync(path, JSON.stringify(config, null, 2))
  return path
}
