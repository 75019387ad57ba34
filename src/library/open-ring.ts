import { base64url, type JWK } from 'jose'
import { type Clock, systemClock } from '../clock.ts'
import { NoActiveKey, NotFound, RingStale } from '../errors.ts'
import type { SignatureAlgorithm } from '../ring/algorithms.ts'
import { type ClockCheck, ownClockOnly } from '../ring/clock-check.ts'
import { type Forecast, forecast } from '../ring/forecast.ts'
import type { KeyStore } from '../ring/key-store.ts'
import type { KeyState, Phase } from '../ring/lifecycle.ts'
import type { Authorize } from '../ring/may-sign.ts'
import {
  carryOut,
  carryOutRevocation,
  openRingsToChange,
  openRingsToRevoke,
} from '../ring/operate.ts'
import { orderPromotion, orderRotation } from '../ring/orders.ts'
import { type RotationPolicies, signatureRing } from '../ring/policy.ts'
import { openSealer, type Protector } from '../ring/protector.ts'
import { decideRevocation } from '../ring/revocation.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { type RingLog, silentLog } from '../ring/ring-log.ts'
import { createRings } from '../ring/rings.ts'
import { createScheduler, type Scheduler } from '../ring/scheduler.ts'
import type { RingStatus } from '../ring/status.ts'
import { type RingView, signerOf } from '../ring/view.ts'
import type { WitnessHook } from '../ring/witness-hook.ts'
import { createJwksDocuments, type JwksDocument } from './jwks-document.ts'
import {
  type ResolvedRingSettings,
  type RingSettings,
  resolveRingSettings,
} from './ring-settings.ts'

/** Signing keys that turn by themselves, for an application that signs its own tokens. */
export interface Ring {
  /**
   * Signs a JWT (RFC 7519) with the active key. Sets `iat`, and `exp` if the payload has none.
   * @param payload claims; instants are seconds since the epoch
   * @throws RingStale if this process may not sign now, NoActiveKey, StoreUnavailable if the token
   * outlives `tokenLifetime` and its expiry cannot be recorded
   */
  sign(payload: Readonly<Record<string, unknown>>, options?: SignOptions): Promise<string>
  /** The JWKS for a request at this moment. @throws RingStale if this process may not serve it */
  jwks(): JwksDocument
  /** Every key with its phase, in ring and generation order. */
  keys(): readonly KeyRow[]
  /**
   * Changes of the rings until an instant, if nobody gives an order. @param until seconds since the
   * epoch
   */
  plan(until: number): Forecast
  /**
   * Lets the next key sign as soon as every RP can know it.
   * @throws NotFound, Refused, StoreUnavailable
   */
  rotate(order: Order & { readonly algorithm?: SignatureAlgorithm }): Promise<void>
  /**
   * Lets a pre-active key sign now. `force` allows a key that RPs may not know yet, although they
   * refuse its tokens until they have fetched the JWKS again.
   * @throws NotFound, Refused, StoreUnavailable
   */
  promote(kid: string, order: Order & { readonly force?: boolean }): Promise<void>
  /**
   * Ends the trust in a key for good. A standby signs in its place at once.
   * @throws NotFound, StoreUnavailable
   */
  revoke(kid: string, order: Order): Promise<void>
  /** Status of the rings, for a health check. */
  readonly status: RingStatus
  /** Ends the rotation once the turn under way is done. The caller closes the store. */
  close(): Promise<void>
}

export interface SignOptions {
  /** Algorithm of the signature. Default: the first algorithm of the policy. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** Seconds until `exp`, if the payload has none. Default: `tokenLifetime`. */
  readonly lifetime?: number | undefined
  /** `typ` of the header (RFC 7515, section 4.1.9). Default: JWT. */
  readonly type?: string | undefined
}

/** Name and reason of the person who orders a change. Both are recorded for good. */
export interface Order {
  readonly actor: string
  readonly reason: string
}

/** A key for people. Instants are seconds since the epoch, null if nothing determines them. */
export interface KeyRow {
  readonly ring: string
  readonly generation: number
  readonly kid: string
  readonly algorithm: string
  readonly phase: Phase
  readonly createdAt: number
  readonly activatesAt: number
  readonly retiresAt: number | null
  readonly unpublishAt: number | null
}

export interface RingOptions {
  /** The store of the keys. Processes that share a store share its keys. */
  readonly store: KeyStore
  /** The source of the key-encryption keys, under which keys are sealed in the store. */
  readonly protector: Protector
  readonly policy?: RingSettings | undefined
  /**
   * Private keys with which the application has signed so far (RFC 7517), for rings without keys.
   */
  readonly firstKeys?: { readonly keys: readonly JWK[] } | undefined
  /** Clock of this process. Default: the system's clock. */
  readonly clock?: Clock | undefined
  /**
   * A clock that all processes share, such as the database's. Default: each process trusts its own.
   */
  readonly clockCheck?: ClockCheck | undefined
  /** Log of the rings. Default: none. */
  readonly log?: RingLog | undefined
  /** Remembers revocations outside the store. Default: none. */
  readonly witness?: WitnessHook | undefined
}

/**
 * Opens the rings of a store, makes missing first keys, and turns the rings until `close`.
 * @throws PolicyUnsafe and TypeError for the policy; StoreUnavailable, StoreUnreadable, KekMissing,
 * SealBroken for stored keys
 * @example
 * const ring = await openRing({
 *   store: createFileKeyStore('./keys'),
 *   protector: fileProtector('./kek.json'),
 * })
 * const token = await ring.sign({ iss: 'https://example.com', sub: 'somebody', aud: 'api' })
 */
export async function openRing(options: RingOptions): Promise<Ring> {
  return (await openWatchedRing(options, () => {})).ring
}

/** A ring with the parts that a token server around it needs. */
export interface WatchedRing {
  readonly ring: Ring
  /** Allows or refuses each signature. */
  readonly authorize: Authorize
  readonly policies: RotationPolicies
}

/**
 * Opens a ring for a caller that follows each change of the published keys and the signing key.
 * @param onView called with the first view before the promise resolves, and with each later view
 */
export async function openWatchedRing(
  options: RingOptions,
  onView: (view: RingView, ring: Omit<WatchedRing, 'ring'>) => void,
): Promise<WatchedRing> {
  const { store, protector, clock = systemClock, log = silentLog, witness } = options
  const settings = resolveRingSettings(options.policy ?? {})
  const { policies, refreshInterval, maxRingAge, clockSkew } = settings
  const sealer = await openSealer(protector, store, clock)
  const rings = createRings({ store, sealer })
  const databaseClock = options.clockCheck ?? ownClockOnly(clock)
  if (options.firstKeys) {
    // The readers of keys load more packages than a ring needs.
    const { takeFirstKeys } = await import('./first-keys.ts')
    const { algorithms } = settings
    const now = databaseClock.now()
    await takeFirstKeys(options.firstKeys, { store, sealer, algorithms, policies, now })
  }
  const scheduler = createScheduler({
    ...{ rings, policies, clock, databaseClock, log, witness },
    ...{ refreshInterval, maxRingAge, clockSkew },
    onView: (view) => onView(view, { authorize, policies }),
  })
  const authorize: Authorize = (kid, expiresAt) => scheduler.authorize(kid, expiresAt)
  await scheduler.runOnce()
  scheduler.start()
  const documents = createJwksDocuments(settings.jwksMaxAge)

  /** The view that this process may serve and sign from. @throws RingStale */
  function view(): RingView {
    const obstacle = scheduler.status.obstacle()
    const current = scheduler.status.view
    if (obstacle === undefined && current) return current
    throw new RingStale(obstacle ?? 'The key ring was never loaded.')
  }

  const work = () => {
    const now = databaseClock.now()
    return { store, openSealer: async () => sealer, policies, now, witness }
  }
  const ring: Ring = {
    sign: createSign(settings, { scheduler, view, clock }),
    jwks: () => documents(view(), clock.now()),
    keys: () => (scheduler.status.view?.states ?? []).map(keyRow),
    plan: (until) => {
      const facts = rings.facts ?? { keys: [], events: [] }
      return forecast(facts, policies, { now: clock.now(), until })
    },
    rotate: async ({ algorithm = settings.algorithms[0] ?? 'RS256', ...order }) => {
      const change = work()
      const before = await openRingsToChange(change)
      const asked = { ...order, ring: signatureRing(algorithm), now: change.now }
      await carryOut(orderRotation(before, policies, asked), before, change)
      await scheduler.runAgain()
    },
    promote: async (kid, { force = false, ...order }) => {
      const change = work()
      const before = await openRingsToChange(change)
      const action = orderPromotion(before, policies, { ...order, kid, force, now: change.now })
      await carryOut(action, before, change)
      await scheduler.runAgain()
    },
    revoke: async (kid, order) => {
      const change = work()
      const before = await openRingsToRevoke(change)
      const asked = { ...order, policies, now: change.now }
      await carryOutRevocation(decideRevocation({ kid }, before, asked), before, change)
      await scheduler.runAgain()
    },
    status: scheduler.status,
    close: scheduler.stop,
  }
  return { ring, authorize, policies }
}

interface Signing {
  readonly scheduler: Pick<Scheduler, 'authorize'>
  readonly view: () => RingView
  readonly clock: Clock
}

function createSign(settings: ResolvedRingSettings, { scheduler, view, clock }: Signing) {
  const [standard = 'RS256'] = settings.algorithms
  return async (
    payload: Readonly<Record<string, unknown>>,
    { algorithm = standard, lifetime = settings.tokenLifetime, type = 'JWT' }: SignOptions = {},
  ): Promise<string> => {
    const ring = signatureRing(algorithm)
    if (!settings.algorithms.includes(algorithm)) throw unknownAlgorithm(algorithm, settings)
    const signer = signerOf(view(), ring)?.key.signer
    if (!signer) throw new NoActiveKey(ring)
    const { kid = '' } = signer.publicJwk
    const now = clock.now()
    const claims = { iat: now, exp: now + lifetime, ...payload }
    const header = { alg: algorithm, kid, typ: type }
    const input = [header, claims].map((part) => base64url.encode(JSON.stringify(part))).join('.')
    const { exp } = claims
    if (typeof exp !== 'number') throw new TypeError('exp is a number of seconds since the epoch')
    // The expiry of a token that outlives its key is recorded first, so that the key stays
    // published.
    await scheduler.authorize(kid, exp)
    return `${input}.${base64url.encode(await signer.sign(new TextEncoder().encode(input)))}`
  }
}

function unknownAlgorithm(
  algorithm: string,
  { algorithms }: ResolvedRingSettings,
): NotFound<'ring_not_found'> {
  const configured = algorithms.map(signatureRing)
  const details = { ring: signatureRing(algorithm), configured }
  const message = `No ring signs with ${algorithm}. The policy has: ${algorithms.join(', ')}`
  return new NotFound('ring_not_found', details, message)
}

function keyRow({ key, phase, activatesAt, retiresAt, unpublishAt }: KeyState<RingKey>): KeyRow {
  const { ring, generation, kid, algorithm, createdAt } = key
  const place = { ring, generation, kid, algorithm, phase }
  return { ...place, createdAt, activatesAt, retiresAt, unpublishAt }
}
