import { Provider } from 'oidc-provider'
import type { Clock } from '../clock.ts'

/**
 * OpenID Connect Core 1.0, section 10.1.1: a client that has a new key publishes it at its `jwks_uri` and
 * signs with it, and whoever verifies meets a kid that he does not know and looks there again, however
 * long the set that he has may be kept. What Keyturn asks of its relying parties it does itself.
 *
 * oidc-provider looks again when `max-age` is over, and not within a minute. Where an assertion
 * (private_key_jwt, RFC 7523) does not verify, and only there, it asks the keys of the client whether they
 * are fresh, and gets them again where they are not. So this is where they say no.
 */

/**
 * Seconds between two looks inside `max-age`. Strangers can cause them, as anybody can send an assertion
 * with a made-up kid in the name of a client, and must not make Keyturn hammer that client's server.
 */
export const COOL_DOWN = 10

/** Seconds after a look that failed in which there is no other. */
const PAUSE_AFTER_FAILURE = 1

/** The part of oidc-provider's keys of a client that this needs (lib/models/client.js). */
interface ClientKeys {
  /** Instant until which the set may be kept; undefined before there is one. */
  freshUntil: number | undefined
  fresh(): boolean
  refresh(): Promise<void>
}

/** @param client of oidc-provider, once */
export function lookAgainForKeys(client: object, { elapsed }: Pick<Clock, 'elapsed'>): void {
  // The types know nothing of the keys; a test holds that they are there.
  const { asymmetricKeyStore: keys } = client as { asymmetricKeyStore: ClientKeys }
  const isFresh = keys.fresh.bind(keys)
  const refresh = keys.refresh.bind(keys)
  /** The look under way. */
  let current: Promise<void> | undefined
  let againAt = -Infinity
  let failedAt = -Infinity
  /** Requests that have looked: what does not verify after that is wrong. */
  const looked = new WeakSet<object>()

  keys.fresh = () => {
    const { ctx } = Provider
    if (ctx && looked.has(ctx)) return true
    // Who comes meanwhile waits for the same answer.
    if (current) return false
    const now = elapsed()
    if (now < failedAt + PAUSE_AFTER_FAILURE) return true
    return isFresh() && now < againAt
  }

  keys.refresh = async () => {
    const { ctx } = Provider
    current ??= look().finally(() => {
      current = undefined
    })
    if (ctx) looked.add(ctx)
    await current
  }

  async function look(): Promise<void> {
    const { freshUntil } = keys
    if (isFresh()) againAt = elapsed() + COOL_DOWN
    // Otherwise it would find that there is nothing to get.
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
