import { createPublicKey, hash, type JsonWebKey } from 'node:crypto'
import { assertKid, buildKey, publicHalf } from './build-key.ts'
import { attachedChain, parseCertificate } from './certificates.ts'
import type { NamedFile } from './duende.ts'
import { entryOf, type ImportedKey } from './imported-key.ts'
import { type DerKey, privateMembers } from './key-der.ts'
import { readKeyFile } from './key-file.ts'
import type { KeyProvider } from './keycloak-components.ts'
import { createPasswordWork, type PasswordWork } from './password-encryption.ts'
import { looksLikePem, pemBlocks } from './pem.ts'
import { refusal } from './refusal.ts'

/** Reads the key of one provider of a realm. */

/** Text that Keycloak shows instead of a secret. */
const MASK = /^\*+$/
/** Member of the configuration with the private half, by kind of provider. */
const PRIVATE: Readonly<Record<string, string>> = {
  'rsa-generated': 'privateKey',
  rsa: 'privateKey',
  'rsa-enc-generated': 'privateKey',
  'rsa-enc': 'privateKey',
  'ecdsa-generated': 'ecdsaPrivateKey',
  'eddsa-generated': 'eddsaPrivateKey',
  'ecdh-generated': 'ecdhPrivateKey',
  'java-keystore': 'keystorePassword',
}

interface ProviderOptions {
  /** Limit of the work on passwords for all keystores. */
  readonly work: PasswordWork
  readonly name: string
  readonly files?: readonly NamedFile[]
  readonly now: number
}

/** Member of the configuration with the secret; undefined for a kind that is not read. */
function secretMember(kind: string): string | undefined {
  return Object.hasOwn(PRIVATE, kind) ? PRIVATE[kind] : undefined
}

/** True if the export has the secret of the provider, not a mask. */
export function hasSecrets({ kind, config }: KeyProvider): boolean {
  const secret = config[secretMember(kind) ?? '']
  return secret !== undefined && !MASK.test(secret)
}

/** Use of the key of a provider, which its configuration tells without the key. */
export function useOf({ kind, config }: KeyProvider): 'sig' | 'enc' {
  // Until Keycloak 12 the kind `rsa-generated` was for both uses, and its use in small letters.
  return /enc|ecdh/.test(kind) || /^enc$/i.test(config.keyUse ?? '') ? 'enc' : 'sig'
}

/**
 * Reads the key of a provider, with the kid under which Keycloak publishes it.
 * @throws ImportRefused
 */
export async function keyOfProvider(
  provider: KeyProvider,
  options: ProviderOptions,
): Promise<ImportedKey> {
  const { kind, config } = provider
  const member = secretMember(kind)
  if (/^(hmac|aes)-generated$/.test(kind)) {
    throw refusal(
      'key_symmetric',
      `${provider.name} is a symmetric key, which Keycloak uses for itself and publishes nowhere.`,
    )
  }
  if (member === undefined) {
    throw refusal(
      'key_type_unsupported',
      `${provider.name} is of a kind of provider that is not read.`,
    )
  }
  if (!hasSecrets(provider)) {
    throw refusal('secrets_missing', `${provider.name} has no private half in ${options.name}.`)
  }
  const source = entryOf(options.name, provider.name)
  const use = useOf(provider)
  const algorithm = algorithmOf(provider, use)
  if (kind === 'java-keystore')
    return keyOfKeystore(provider, { use, algorithm, source, ...options })
  const key = await buildKey({
    members: privateHalf(config[member] ?? '', source).members,
    ...(algorithm !== undefined && { algorithm }),
    use,
    source,
  }).then((built) => named(built, config.kid))
  return { ...key, certificates: await chain(key, config.certificate, source) }
}

/**
 * Algorithm of a provider's key. EC and EdDSA providers have a curve instead, which determines it.
 */
function algorithmOf({ kind, config }: KeyProvider, use: 'sig' | 'enc'): string | undefined {
  if (/^e[cd]d/.test(kind)) return config.ecdhAlgorithm
  return config.algorithm ?? (use === 'enc' ? 'RSA-OAEP' : 'RS256')
}

/**
 * Names a key. A provider without a kid has base64url of SHA-256 over the public half as SPKI,
 * which is not stored.
 */
function named(key: ImportedKey, kid: string | undefined): ImportedKey {
  if (kid !== undefined) {
    assertKid(kid)
    return { ...key, kid }
  }
  const spki = createPublicKey({ key: publicHalf(key.jwk) as JsonWebKey, format: 'jwk' })
  const digest = hash('sha256', spki.export({ type: 'spki', format: 'der' }), 'base64url')
  return { ...key, kid: digest }
}

async function keyOfKeystore(
  { name, config }: KeyProvider,
  {
    files = [],
    now,
    work,
    ...found
  }: ProviderOptions & { use: 'sig' | 'enc'; algorithm: string | undefined; source: string },
): Promise<ImportedKey> {
  const path = config.keystore ?? ''
  const base = path.split(/[/\\]/).at(-1)
  const file =
    files.find((one) => one.name === path) ??
    files.find((one) => one.name.split('/').at(-1) === base)
  if (!file) {
    throw refusal(
      'keystore_missing',
      `${name} has its key in the keystore ${JSON.stringify(path.slice(0, 200))}. Give its directory.`,
    )
  }
  const { keys, left } = await readKeyFile(file.bytes, {
    name: file.name,
    password: config.keystorePassword,
    keyPassword: config.keyPassword,
    alias: config.keyAlias,
    now,
    work: createPasswordWork(work),
  })
  const key = keys.find((one) => one.private)
  if (!key)
    throw refusal('no_keys', left[0]?.reason ?? `${file.name} has no private key of that alias.`)
  const { algorithm, use, source } = found
  const whole = { members: { ...key.jwk }, certificates: key.certificates, use, source }
  const built = await buildKey({ ...whole, ...(algorithm !== undefined && { algorithm }) })
  return named(built, config.kid)
}

/** Reads a private half. Keycloak writes bare base64, but an operator may have pasted PEM. */
function privateHalf(text: string, source: string): DerKey {
  return privateMembers(derOf(text, source))
}

async function chain(key: ImportedKey, text: string | undefined, source: string) {
  if (text === undefined || text === '') return []
  const ders = looksLikePem(text)
    ? pemBlocks(text, source).map(({ der }) => der)
    : [derOf(text, source)]
  return attachedChain(key, ders.map(parseCertificate))
}

function derOf(text: string, source: string): Buffer {
  if (!looksLikePem(text)) return Buffer.from(text, 'base64')
  return pemBlocks(text, source)[0]?.der ?? Buffer.alloc(0)
}
