import type { JWK } from 'jose'
import { KidTaken, PlaceTaken } from '../errors.ts'
import type { ImportedKey } from '../import/imported-key.ts'
import { readJwks } from '../import/jwk-set.ts'
import { adopt } from '../moving/adopt.ts'
import { ringOf } from '../moving/adopt-ring.ts'
import { carryIn, presentOf } from '../moving/operate.ts'
import type { SignatureAlgorithm } from '../ring/algorithms.ts'
import type { KeyStore } from '../ring/key-store.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { createRings } from '../ring/rings.ts'
import type { Sealer } from '../ring/sealer.ts'

export interface FirstKeysOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
}

/**
 * Takes the private keys of a JWK Set over as the first keys of the rings that have none yet, as any import does
 * (`moving/adopt.ts`): the first key of an algorithm signs on, those behind it are published until what they signed
 * has expired, as oidc-provider would have it. Their `kid` stays what it is. A ring that has keys is left alone, so
 * that every start may call this.
 * @throws TypeError for a key that is not private or that no ring of the policy takes; ImportRefused where no key of
 *   the set is of use; StoreUnavailable, StoreUnreadable
 */
export async function takeFirstKeys(
  { keys }: { readonly keys: readonly JWK[] },
  { store, sealer, algorithms, policies, now }: FirstKeysOptions,
): Promise<void> {
  const imported = await readJwks({ keys }, { source: 'firstKeys' })
  const [left] = imported.left
  if (left) throw new TypeError(`firstKeys: key ${left.name} cannot be taken. ${left.reason}`)
  for (const key of imported.keys) assertOfUse(key, policies, algorithms)
  const before = await createRings({ store, sealer }).loadRecorded()
  const used = new Set(before.keys.map(({ ring }) => ring))
  const fresh = imported.keys.filter((key) => !used.has(ringOf(key, policies) ?? ''))
  const order = { now, policies, actor: 'keyturn', reason: 'the first keys of the ring' }
  const adoption = adopt({ keys: fresh, left: [] }, await presentOf(before), order)
  const work = { store, openSealer: async () => sealer, witness: undefined }
  await carryIn(adoption, before, work).catch((error: unknown) => {
    // Of processes that start at once, one adds the keys.
    if (!(error instanceof KidTaken || error instanceof PlaceTaken)) throw error
  })
}

/** @throws TypeError */
function assertOfUse(
  key: ImportedKey,
  policies: RotationPolicies,
  algorithms: readonly SignatureAlgorithm[],
): void {
  const name = key.kid === key.thumbprint ? 'without kid' : key.kid
  if (key.use === 'sig' && !key.private) {
    throw new TypeError(`firstKeys: key ${name} has no private half, so it cannot sign`)
  }
  if (key.use === 'sig' && ringOf(key, policies) !== undefined) return
  const algorithm = key.algorithmGiven ? key.algorithm : 'not given'
  throw new TypeError(
    `firstKeys: no ring takes key ${name} (kty ${key.jwk.kty}, alg ${algorithm}). ` +
      `Add its algorithm to policy.algorithms, which has ${algorithms.join(', ')}.`,
  )
}
