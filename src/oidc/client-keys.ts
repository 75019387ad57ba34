import { Provider } from 'oidc-provider'
import type { Clock } from '../clock.ts'

/**
 * OpenID Connect Core 1.0, section 10.1.1: a client publishes a new key at its `jwks_uri` and signs
 * with it. A verifier that meets an unknown kid fetches the set again, even if its copy is still
 * fresh. Keyturn asks this of its relying parties and does the same as a verifier.
 *
 * oidc-provider fetches again only after `max-age`, and not within a minute. If an assertion
 * (private_key_jwt, RFC 7523) does not verify, and only then, oidc-provider calls `fresh()` of the
 * client's keys and fetches them again if it returns false. So `fresh()` is replaced here.
 */

/**
 * Seconds between two fetches inside `max-age`. Anybody can cause a fetch by sending an assertion
 * with a made-up kid in the name of a client, and must not be able to flood that client's server.
 */
export const COOL_DOWN = 10

/** Seconds without another fetch after a failed one. */
const PAUSE_AFTER_FAILURE = 1

/** The part of oidc-provider's client keys that is used here (lib/models/client.js). */
interface ClientKeys {
  /** Instant until which the set may be kept; undefined before the first fetch. */
  freshUntil: number | undefined
  fresh(): boolean
  refresh(): Promise<void>
}

/** @param client of oidc-provider; to be called once per client */
export function refetchUnknownKeys(client: object, { elapsed }: Pick<Clock, 'elapsed'>): void {
  // The types lack the keys; a test checks that they exist.
  const { asymmetricKeyStore: keys } = client as { asymmetricKeyStore: ClientKeys }
  const isFresh = keys.fresh.bind(keys)
  const refresh = keys.refresh.bind(keys)
  /** The fetch under way. */
  let current: Promise<void> | undefined
  let againAt = -Infinity
  let failedAt = -Infinity
  /** Requests that have fetched: an assertion that still does not verify is wrong. */
  const fetchedFor = new WeakSet<object>()

  keys.fresh = () => {
    const { ctx } = Provider
    if (ctx && fetchedFor.has(ctx)) return true
    // Requests that arrive meanwhile wait for the same fetch.
    if (current) return false
    const now = elapsed()
    if (now < failedAt + PAUSE_AFTER_FAILURE) return true
    return isFresh() && now < againAt
  }

  keys.refresh = async () => {
    const { ctx } = Provider
    current ??= fetchAgain().finally(() => {
      current = undefined
    })
    if (ctx) fetchedFor.add(ctx)
    await current
  }

  async function fetchAgain(): Promise<void> {
    const { freshUntil } = keys
    if (isFresh()) againAt = elapsed() + COOL_DOWN
    // Otherwise oidc-provider's `refresh` would consider the set fresh and fetch nothing.
    keys.freshUntil = undefined
    try {
      await refresh()
    } catch (error) {
      failedAt = elapsed()
      keys.freshUntil ??= freshUntil
      throw error
    }
  }
}
