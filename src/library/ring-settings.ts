import { z } from 'zod'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../ring/algorithms.ts'
import { isRefreshOftenEnough, safePolicies } from '../ring/bounds.ts'
import { type RingPolicy, type RotationPolicies, signatureRing } from '../ring/policy.ts'

/** Policy of an application's keys. All durations are whole seconds. */
export interface RingSettings {
  /**
   * JWS algorithms, each with a ring of keys. `sign` uses the first one by default. Default: RS256.
   */
  readonly algorithms?: readonly SignatureAlgorithm[] | undefined
  /** Time for which a key is meant to sign. Default: 90 days. */
  readonly cryptoperiod?: number | undefined
  /** Time for which a key is published before it signs. Default: 14 days. */
  readonly propagation?: number | undefined
  /**
   * Time for which a retired key stays published. Default: the larger of 14 days and tokenLifetime
   * + 1 day.
   */
  readonly retention?: number | undefined
  /** Time for which a public half is kept after it has left the JWKS. Default: 0. */
  readonly archive?: number | undefined
  /**
   * True to keep a successor published from the moment its predecessor becomes active. Default:
   * true.
   */
  readonly standby?: boolean | undefined
  /** The longest lifetime of tokens that `sign` signs. Default: 1 hour. */
  readonly tokenLifetime?: number | undefined
  /** Time for which RPs and caches may keep the JWKS. Default: 15 minutes. */
  readonly jwksMaxAge?: number | undefined
  /** Time between two loads of the key store. Default: 30. */
  readonly refreshInterval?: number | undefined
  /** Age of the loaded keys from which a process signs nothing. Default: 1 hour. */
  readonly maxRingAge?: number | undefined
  /** Largest difference between the clocks of processes. Default: 60. */
  readonly clockSkew?: number | undefined
}

/** Settings with their defaults, and the policies that follow from them. */
export interface ResolvedRingSettings extends z.infer<typeof settings> {
  readonly retention: number
  readonly policies: RotationPolicies
}

const DAY = 86_400
const duration = z.int().min(1)
const algorithms = Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[]

const settings = z.strictObject({
  algorithms: z.array(z.enum(algorithms)).min(1).default(['RS256']),
  cryptoperiod: duration.default(90 * DAY),
  propagation: duration.default(14 * DAY),
  retention: duration.optional(),
  archive: z.int().min(0).default(0),
  standby: z.boolean().default(true),
  tokenLifetime: duration.default(3600),
  jwksMaxAge: duration.default(900),
  refreshInterval: duration.default(30),
  maxRingAge: duration.default(3600),
  clockSkew: z.int().min(0).default(60),
})

/**
 * Applies defaults and checks the settings.
 * @throws TypeError for a value that no setting can have
 * @throws PolicyUnsafe if the settings break a bound (`ring/bounds.ts`)
 */
export function resolveRingSettings(given: RingSettings): ResolvedRingSettings {
  const parsed = settings.safeParse(given)
  if (!parsed.success) {
    throw new TypeError(`The policy is malformed:\n${z.prettifyError(parsed.error)}`)
  }
  const { data } = parsed
  if (!isRefreshOftenEnough(data.refreshInterval, data.maxRingAge)) {
    throw new TypeError(
      'refreshInterval must be at most half of maxRingAge, because one refresh may fail',
    )
  }
  const retention = data.retention ?? Math.max(14 * DAY, data.tokenLifetime + DAY)
  const { cryptoperiod, propagation, archive, standby, maxRingAge, clockSkew } = data
  const life = { cryptoperiod, propagation, retention, archive, standby, maxRingAge, clockSkew }
  const policyOf = (algorithm: string, configured: boolean): RingPolicy => {
    return { ring: signatureRing(algorithm), algorithm, configured, published: true, ...life }
  }
  const longest = { name: 'tokenLifetime', lifetime: data.tokenLifetime }
  const policies = safePolicies(
    [...new Set(data.algorithms)].map((algorithm) => policyOf(algorithm, true)),
    () => ({ jwksMaxAge: data.jwksMaxAge, longest }),
    // A ring that only the store has is kept, and published if its keys sign tokens.
    (ring) => {
      const policy = policyOf(ring.slice(ring.indexOf('/') + 1), false)
      return { ...policy, ring, published: ring.startsWith('sig/') }
    },
  )
  return { ...data, retention, policies }
}
