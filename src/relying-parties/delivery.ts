import type { Copy } from './held-set.ts'

/** Delivery of a JWKS from nodes to an RP: a load balancer, and perhaps HTTP caches (RFC 9111). */

export type DeliveryName = 'directly' | 'through a shared cache' | 'through caches at many places'

/** Ways of delivery. Each fetch may reach any node, so a later answer may be older. */
export const DELIVERIES: readonly DeliveryName[] = [
  'directly',
  'through a shared cache',
  'through caches at many places',
]

export interface CacheRules {
  readonly staleWhileRevalidate: number
  /** Seconds for which caches serve a stale answer while no node can be reached; 0 for never. */
  readonly staleIfError: number
}

/** An answer of a node. */
export interface Answer extends Copy {
  readonly at: number
}

/** The answer at an instant; undefined if no node can be reached. */
export type Origin = (at: number) => Answer | undefined

/** Last instant at which an answer is handed out. */
export function lastHandedAt(name: DeliveryName, answer: Answer, rules: CacheRules): number {
  if (name === 'directly') return answer.at
  return answer.at + answer.maxAge + staleTime(rules) - 1
}

/**
 * Seconds for which a stale answer may be served; both times count from the end of max-age (RFC
 * 5861).
 */
function staleTime({ staleWhileRevalidate, staleIfError }: CacheRules): number {
  return Math.max(staleWhileRevalidate, staleIfError)
}

/**
 * Opens a delivery whose caches were filled by a request at `warmedAt`.
 * @returns function that answers a request at an instant
 */
export function openDelivery(
  name: DeliveryName,
  origin: Origin,
  { warmedAt, ...rules }: CacheRules & { readonly warmedAt: number },
): (at: number) => Copy {
  const warmed = () => {
    const cache = createCache(origin, rules)
    cache(warmedAt)
    return cache
  }
  const shared = warmed()
  return (at) => {
    const place = name === 'through a shared cache' ? shared : warmed()
    const answer = name === 'directly' ? origin(at) : place(at)
    if (!answer) throw new RangeError(`nothing answers at ${at}`)
    return answer
  }
}

/** An HTTP cache with `stale-while-revalidate` and `stale-if-error`. */
export function createCache(origin: Origin, rules: CacheRules): Origin {
  let kept: Answer | undefined
  return (at) => {
    const old = kept
    const staleFor = old ? at - old.at - old.maxAge : Infinity
    if (staleFor < 0) return old
    const answer = origin(at)
    kept = answer ?? kept
    if (staleFor < rules.staleWhileRevalidate) return old
    return answer ?? (staleFor < rules.staleIfError ? old : undefined)
  }
}
