import { errors, Provider } from 'oidc-provider'
import type { ArtifactAdapter, Undo } from '../artifacts/artifact-store.ts'
import { RingStale, StoreUnavailable } from '../errors.ts'
import type { UsedUp } from './used-up.ts'

/**
 * What a client is told while a store cannot be reached, or this node may not sign: 503 and
 * `temporarily_unavailable`, a code that RFC 6749, section 4.1.2.1 has for redirects, where there is
 * no status. oidc-provider would answer 500 and `server_error`, as for a fault that goes on.
 */
export class Outage extends errors.CustomOIDCProviderError {
  override readonly cause: StoreUnavailable | RingStale

  constructor(cause: StoreUnavailable | RingStale) {
    super('temporarily_unavailable', 'this server cannot do it at the moment; try again shortly')
    this.cause = cause
    this.error_detail = cause.message
    // Its class is for refusals and says 400.
    this.status = 503
    this.statusCode = 503
  }
}

/** The adapter of each model of oidc-provider. */
export type ArtifactAdapters = (model: string) => ArtifactAdapter

/**
 * The same adapters, made once for all instances of the provider, whose StoreUnavailable it
 * understands as an outage, and which note what a request uses up.
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

function providerAdapter(adapter: ArtifactAdapter, usedUp: Pick<UsedUp, 'note'>): ArtifactAdapter {
  const noteUndo = (undo: Undo) => {
    const { ctx } = Provider
    if (ctx) usedUp.note(ctx, undo)
  }
  return {
    upsert: (id, payload, expiresIn) => tellOutage(adapter.upsert(id, payload, expiresIn)),
    find: (id) => tellOutage(adapter.find(id)),
    findByUid: (uid) => tellOutage(adapter.findByUid(uid)),
    findByUserCode: (userCode) => tellOutage(adapter.findByUserCode(userCode)),
    consume: (id) => tellOutage(adapter.consume(id, noteUndo)),
    consumeOrLeave: (id) => tellOutage(adapter.consumeOrLeave(id, noteUndo)),
    saveOnce: (id, payload, expiresIn) => tellOutage(adapter.saveOnce(id, payload, expiresIn)),
    destroy: (id) => tellOutage(adapter.destroy(id)),
    revokeByGrantId: (grantId) => tellOutage(adapter.revokeByGrantId(grantId)),
  }
}

/** The same work, whose failures oidc-provider understands as an outage where they are one. */
export function tellOutage<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw asOutage(error)
  })
}

export function asOutage(error: unknown): unknown {
  return error instanceof StoreUnavailable || error instanceof RingStale ? new Outage(error) : error
}
