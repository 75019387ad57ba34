import type { JWK } from 'jose'
import type { ImportRefused } from '../errors.ts'
import { codeOf, type ImportCode, refusal } from './refusal.ts'

/** Phase of a key in the old system, as far as its export says. */
export type PhaseHint =
  /** Signs. */
  | 'active'
  /** Published, and will sign after the active one. */
  | 'next'
  /** Published, and no longer signs. */
  | 'old'
  /** Not published; its tokens are refused. */
  | 'disabled'

/** A key in the form that every reader returns, whatever system it comes from. */
export interface ImportedKey {
  /**
   * The material alone, in the one spelling that RFC 7518 allows, without kid, alg, use or foreign
   * members. It includes the private half if the source has it.
   */
  readonly jwk: JWK
  /** Kid in the old system; the thumbprint if the old system has none. */
  readonly kid: string
  /** Thumbprint (RFC 7638) with SHA-256, in base64url. */
  readonly thumbprint: string
  /** JWS `alg`, or JWE `alg` for a key of use `enc`. */
  readonly algorithm: string
  /**
   * False if the source names no algorithm, so that `algorithm` is the most common one of its kind.
   */
  readonly algorithmGiven: boolean
  readonly use: 'sig' | 'enc'
  /**
   * True if `jwk` has its private half, as a key of use `enc` never has. Without it, a key can only
   * verify.
   */
  readonly private: boolean
  /** Certificates in DER: first the key's own, each issued by the next. */
  readonly certificates: readonly Uint8Array[]
  /** Instants are seconds since the epoch, absent if the source does not name them. */
  readonly createdAt?: number
  readonly activatesAt?: number
  /** Instant from which the old system signs with another key. */
  readonly retiresAt?: number
  /** Instant at which the key leaves the JWKS. */
  readonly expiresAt?: number
  readonly phaseHint?: PhaseHint
  /** Name of the key in a keystore. */
  readonly alias?: string
  /** Place where the key was found: a file, and the entry in it. */
  readonly source: string
}

/** An entry that cannot be taken in, and the reason. */
export interface LeftOut {
  /** Kid or alias if there is one, otherwise the place in the source. */
  readonly name: string
  readonly code: ImportCode
  readonly reason: string
  /** Kid of the key, if the source names it outside of what cannot be read. */
  readonly kid?: string | undefined
  /**
   * True if no relying party misses the key, because the old system publishes it not at all, no
   * longer, or only to encrypt.
   */
  readonly isHarmless: boolean
}

export interface Imported {
  readonly keys: readonly ImportedKey[]
  readonly left: readonly LeftOut[]
}

/**
 * Makes the entry for a refused key in the list of keys left out.
 * @param options.isHarmless true if the source shows that the old system does not publish the key
 */
export function leftOut(
  name: string,
  refused: ImportRefused,
  { kid, isHarmless = false }: Partial<Pick<LeftOut, 'kid' | 'isHarmless'>> = {},
): LeftOut {
  return {
    name: shortName(name),
    code: codeOf(refused),
    reason: refused.message,
    ...(kid !== undefined && { kid }),
    isHarmless: isHarmless || refused.isHarmless,
  }
}

/** Place of an entry that its source names, for {@link ImportedKey.source}. */
export function entryOf(source: string, name: string): string {
  return `${source}#${shortName(name)}`
}

/** Most characters of a name that is shown; a kid has 255. */
const NAME_MAX = 600

function shortName(name: string): string {
  return name.slice(0, NAME_MAX).toWellFormed()
}

/**
 * Merges entries with the same key, and leaves out different keys with the same kid, because nobody
 * can tell which of them signed. Of entries with and without the private half, the one with it is
 * kept.
 */
export function withoutTwins(keys: readonly ImportedKey[]): Imported {
  const byKid = Map.groupBy(keys, ({ kid }) => kid)
  const left: LeftOut[] = []
  const kept = [...byKid].flatMap(([kid, same]) => {
    const best = same.find((key) => key.private) ?? same[0]
    if (!best) return []
    if (same.every(({ thumbprint }) => thumbprint === best.thumbprint)) {
      // The certificate may be in a file of its own.
      const chain = [best, ...same].find(({ certificates }) => certificates.length > 0)
      return { ...best, certificates: chain?.certificates ?? [] }
    }
    const sources = [...new Set(same.map(({ source }) => source))].slice(0, 5).join(', ')
    const refused = refusal(
      'kid_duplicate',
      `${same.length} entries have the kid ${JSON.stringify(kid)} and are different keys (${sources}). Relying ` +
        'parties could not tell them apart. Give one of them another kid, or take it away.',
    )
    left.push(leftOut(kid, refused, { kid }))
    return []
  })
  return { keys: kept, left }
}

/**
 * Refuses an import from which no key is left, so that nobody takes it for complete.
 * @param source for the message
 * @throws ImportRefused with the code of all entries left out if it is the same, otherwise
 * `no_keys`
 */
export function assertSomething({ keys, left }: Imported, source: string): void {
  if (keys.length > 0) return
  const [first] = left
  if (first && left.every(({ code }) => code === first.code)) {
    throw refusal(first.code, left.length === 1 ? first.reason : `${source}: ${reasonsOf(left)}`)
  }
  throw refusal('no_keys', `${source} has no key that can be taken in: ${reasonsOf(left)}`)
}

function reasonsOf(left: readonly LeftOut[]): string {
  return left
    .slice(0, 10)
    .map(({ name, reason }) => `\n  ${name}: ${reason}`)
    .join('')
}
