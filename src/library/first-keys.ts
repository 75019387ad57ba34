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
 * Makes the private keys of a JWK Set the first keys of the rings that have none yet, like any
 * import (`moving/adopt.ts`). The first key of an algorithm goes on signing. Those behind it are
 * published until the tokens that they signed have expired, as in oidc-provider. Each keeps its
 * `kid`. A ring with keys is left alone, so that every start may call this.
 * @throws TypeError for a key that is not private or that no ring of the policy takes;
 * ImportRefused if no key of the set is usable; StoreUnavailable, StoreUnreadable
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
    // If several processes start at once, one of them adds the keys.
    if (!(error instanceof KidTaken || error instanceof PlaceTaken)) throw error
  })
}

/** Checks that a key can be the first of a ring. @throws TypeError */
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
