import type { JWK } from 'jose'
import type { ImportRefused } from '../errors.ts'
import { codeOf, type ImportCode, refusal } from './refusal.ts'

/** What the old system does with a key, as far as its export tells. */
export type PhaseHint =
  /** Signs. */
  | 'active'
  /** Published, and will sign after the active one. */
  | 'next'
  /** Published, and signs no more. */
  | 'old'
  /** Not published; its tokens are refused. */
  | 'disabled'

/** A key as every reader gives it, whatever system it comes from. */
export interface ImportedKey {
  /**
   * The material alone, in the one spelling that RFC 7518 allows: no kid, alg, use or foreign members.
   * With the private half where the source has it.
   */
  readonly jwk: JWK
  /** As the old system names it; where it has no name for it, the thumbprint. */
  readonly kid: string
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string
  /** JWS `alg`, or JWE `alg` for a key of use `enc`. */
  readonly algorithm: string
  /** False where the source names no algorithm, and `algorithm` is the most common one of its kind. */
  readonly algorithmGiven: boolean
  readonly use: 'sig' | 'enc'
  /** Does `jwk` have its private half? One of use `enc` never has. Without it a key can verify and nothing else. */
  readonly private: boolean
  /** DER; the first is that of the key, each is issued by the one behind it. */
  readonly certificates: readonly Uint8Array[]
  /** Instants, in seconds; absent where the source does not tell. */
  readonly createdAt?: number
  readonly activatesAt?: number
  /** The old system signs with another key from then on. */
  readonly retiresAt?: number
  /** Leaves the JWKS. */
  readonly expiresAt?: number
  readonly phaseHint?: PhaseHint
  /** Name of the key in a keystore. */
  readonly alias?: string
  /** Where it was found: a file, and the entry in it. */
  readonly source: string
}

/** Something that cannot come along, and why. */
export interface LeftOut {
  /** A kid or alias where there is one, else the place in the source. */
  readonly name: string
  readonly code: ImportCode
  readonly reason: string
}

export interface Imported {
  readonly keys: readonly ImportedKey[]
  readonly left: readonly LeftOut[]
}

/** For the list of what was left out. */
export function leftOut(name: string, refused: ImportRefused): LeftOut {
  return { name: shortName(name), code: codeOf(refused), reason: refused.message }
}

/** The place of an entry that its source names, for {@link ImportedKey.source}. */
export function entryOf(source: string, name: string): string {
  return `${source}#${shortName(name)}`
}

/** Characters of a name that is shown; a kid has 255. */
const NAME_MAX = 600

function shortName(name: string): string {
  return name.slice(0, NAME_MAX).toWellFormed()
}

/**
 * Makes one of keys that are the same, and leaves out all that have one kid and are different: nobody can
 * tell which of them signed. A key that is there with and without its private half is kept with it.
 */
export function withoutTwins(keys: readonly ImportedKey[]): Imported {
  const byKid = Map.groupBy(keys, ({ kid }) => kid)
  const left: LeftOut[] = []
  const kept = [...byKid].flatMap(([kid, same]) => {
    const best = same.find((key) => key.private) ?? same[0]
    if (!best) return []
    if (same.every(({ thumbprint }) => thumbprint === best.thumbprint)) {
      // A certificate may lie in a file of its own.
      const chain = [best, ...same].find(({ certificates }) => certificates.length > 0)
      return { ...best, certificates: chain?.certificates ?? [] }
    }
    const sources = [...new Set(same.map(({ source }) => source))].slice(0, 5).join(', ')
    const refused = refusal(
      'kid_duplicate',
      `${same.length} entries have the kid ${JSON.stringify(kid)} and are different keys (${sources}). Relying ` +
        'parties could not tell them apart. Give one of them another kid, or take it away.',
    )
    left.push(leftOut(kid, refused))
    return []
  })
  return { keys: kept, left }
}

/**
 * Refuses an import of which nothing is left, so that nobody takes it for done.
 * @param source for the message
 * @throws ImportRefused with the code of all that was left out, or `no_keys`
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
