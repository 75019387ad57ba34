import { errors, Provider } from 'oidc-provider'
import { LostRace } from '../artifacts/artifact-record.ts'
import type { ArtifactAdapter, ArtifactStore, Exchange, Undo } from '../artifacts/artifact-store.ts'
import { RingStale, StoreUnavailable } from '../errors.ts'
import type { UsedUp } from './used-up.ts'

/**
 * The answer to clients while a store cannot be reached or this node may not sign: 503 and
 * `temporarily_unavailable`, a code that RFC 6749, section 4.1.2.1 defines for redirects, which
 * have no status. oidc-provider would answer 500 and `server_error`, as for a permanent fault.
 */
export class Outage extends errors.CustomOIDCProviderError {
  override readonly cause: StoreUnavailable | RingStale

  constructor(cause: StoreUnavailable | RingStale) {
    super('temporarily_unavailable', 'the server is temporarily unable to handle the request')
    this.cause = cause
    this.error_detail = cause.message
    // The base class is for refusals and sets 400.
    this.status = 503
    this.statusCode = 503
  }
}

/** The adapter of each model of oidc-provider. */
export type ArtifactAdapters = (model: string) => ArtifactAdapter

/**
 * Wraps the adapters, once for all instances of the provider, so that StoreUnavailable becomes an
 * Outage, a LostRace an error of the provider, and each consumption is noted with its undo.
 */
export function providerAdapters(
  adapterOf: ArtifactAdapters,
  usedUp: Pick<UsedUp, 'note'>,
): ArtifactAdapters {
  const adapters = new Map<string, ArtifactAdapter>()
  return (model) => {
    const known = adapters.get(model)
    if (known) return known
    const made = providerAdapter(adapterOf(model), usedUp)
    adapters.set(model, made)
    return made
  }
}

/**
 * `ArtifactStore.exchange` for the provider.
 * @returns false if an answer to the token is already kept
 * @throws Outage, InvalidGrant
 */
export type ExchangeTokens = (exchange: Exchange) => Promise<boolean>

/** Wraps `exchange` as `providerAdapters` wraps the adapters. */
export function providerExchange(
  artifacts: Pick<ArtifactStore, 'exchange'>,
  usedUp: Pick<UsedUp, 'note'>,
): ExchangeTokens {
  const noteUndo = noteIn(usedUp)
  return (exchange) => tellRefusal(artifacts.exchange(exchange, noteUndo))
}

/** Notes an undo for the current request. */
function noteIn(usedUp: Pick<UsedUp, 'note'>): (undo: Undo) => void {
  return (undo) => {
    const { ctx } = Provider
    if (ctx) usedUp.note(ctx, undo)
  }
}

function providerAdapter(adapter: ArtifactAdapter, usedUp: Pick<UsedUp, 'note'>): ArtifactAdapter {
  const noteUndo = noteIn(usedUp)
  return {
    upsert: (id, payload, expiresIn) => tellRefusal(adapter.upsert(id, payload, expiresIn)),
    find: (id) => tellOutage(adapter.find(id)),
    findByUid: (uid) => tellOutage(adapter.findByUid(uid)),
    findByUserCode: (userCode) => tellOutage(adapter.findByUserCode(userCode)),
    consume: (id) => tellRefusal(adapter.consume(id, noteUndo)),
    consumeAgain: (id, at) => tellOutage(adapter.consumeAgain(id, at)),
    destroy: (id) => tellOutage(adapter.destroy(id)),
    revokeByGrantId: (grantId) => tellOutage(adapter.revokeByGrantId(grantId)),
  }
}

/** Rethrows what writes to artifacts may reject with as errors of oidc-provider. */
function tellRefusal<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    if (!(error instanceof LostRace)) throw asOutage(error)
    if (error.error === 'invalid_grant') throw new errors.InvalidGrant({ cause: error })
    throw new errors.InvalidRequest(error.message)
  })
}

/** Rethrows StoreUnavailable and RingStale as Outage, which oidc-provider answers with 503. */
export function tellOutage<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw asOutage(error)
  })
}

export function asOutage(error: unknown): unknown {
  return error instanceof StoreUnavailable || error instanceof RingStale ? new Outage(error) : error
}
