import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What all servers under test have in common: the same client, resources and lifetimes (those of
 * `config/default.yaml`), RSA keys of 2048 bits and P-256 keys.
 */

/** Without port: each server takes a free one, and requests name only the path. */
export const ISSUER = 'http://127.0.0.1'

/** Whose access tokens are JWTs. Without a resource, access tokens are opaque. */
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
  // A refresh is measured with rotation, which is what it costs at most.
  refresh_token_rotation: 'always',
}

export const AUTHORIZATION = `Basic ${Buffer.from(
  `${CLIENT.client_id}:${CLIENT.client_secret}`,
).toString('base64')}`

export const PERSON = { username: 'ada', password: 'correct horse battery' }

/** The least that the configuration takes: the check of a password is timed on its own. */
export const CHEAPEST_ARGON2 = { memoryKiB: 7168, passes: 1, parallelism: 1 }

/** PKCE (RFC 7636); what the verifier is makes no difference to its cost. */
export const CODE_VERIFIER = 'benchmark'.repeat(5)
export const CODE_CHALLENGE = createHash('sha256').update(CODE_VERIFIER).digest('base64url')

export interface ConfigOptions {
  readonly clients?: readonly object[]
  readonly ports?: { readonly http: number; readonly management: number }
  readonly keyStore?: object
  readonly database?: object
  readonly redis?: object
  /** Processes; one unless told. */
  readonly workers?: number
}

/** Writes a config file for a server that keeps everything in `folder`. @returns its path */
export function writeConfig(
  folder: string,
  {
    clients = [CLIENT],
    ports = { http: 0, management: 0 },
    workers = 1,
    ...more
  }: ConfigOptions = {},
): string {
  const limit = 1_000_000
  const config = {
    issuer: ISSUER,
    http: { port: ports.http, workers },
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
  const path = join(folder, 'keyturn.yaml')
  // YAML takes JSON as it is.
  writeFileSync(path, JSON.stringify(config, null, 2))
  return path
}
