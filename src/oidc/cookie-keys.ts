import { NoActiveKey } from '../errors.ts'
import { createHmacSha256, isSameText } from '../hmac.ts'
import { isPublished } from '../ring/lifecycle.ts'
import { COOKIE_RING } from '../ring/policy.ts'
import { type RingView, signerOf } from '../ring/view.ts'

/** Keygrip's interface, which koa and oidc-provider take as `keys` instead of a list. */
export interface CookieKeys {
  sign(data: string): string
  verify(data: string, signature: string): boolean
  /** 0 if the newest key made the signature, more if an older one did, -1 if none. */
  index(data: string, signature: string): number
}

/**
 * Signs cookies with the active key of the cookie ring (HMAC SHA-256) and verifies with all keys
 * that any node may sign with. The library signs a cookie anew when an older key verified it.
 */
export function createCookieKeys(view: RingView): CookieKeys {
  const active = signerOf(view, COOKIE_RING)
  const others = view.states.filter(
    (state) => state.key.ring === COOKIE_RING && isPublished(state) && state !== active,
  )
  // Retired keys come before the standby because they signed most of the existing cookies.
  const keys = [...(active ? [active] : []), ...others].flatMap(({ key }) => key.secret ?? [])
  const macs = keys.map(createHmacSha256)

  const index = (data: string, signature: string) =>
    macs.findIndex((macOf) => isSameText(macOf(data), signature))
  return {
    sign: (data) => {
      // The first MAC is the active key's, if there is an active key with a secret.
      const [macOf] = macs
      if (!active?.key.secret || !macOf) throw new NoActiveKey(COOKIE_RING)
      return macOf(data)
    },
    verify: (data, signature) => index(data, signature) >= 0,
    index,
  }
}
