import { issuerPath } from '../oidc/origin.ts'

/** Who asks: people with a browser, who get pages, or programs, who get JSON. */
export interface Audience {
  /** @param path of a request, that of the issuer included */
  isForPrograms(path: string): boolean
  /** Is a page asked for, where not everybody gets one? @param accept the header field */
  wantsPage(path: string, accept: string | undefined): boolean
}

/** Below the issuer's path. */
const PROGRAMS = /^\/(?:token|userinfo|jwks|request|device\/auth|\.well-known)(?:\/|$)/i

/**
 * The path counts before the header field, because HTTP libraries send `Accept: text/html` to the token
 * endpoint as well (Java's own does), where RFC 6749, section 5.2, promises JSON.
 */
export function createAudience(issuer: string): Audience {
  const { length } = issuerPath(issuer)
  const isForPrograms = (path: string) => PROGRAMS.test(path.slice(length))
  return {
    isForPrograms,
    wantsPage: (path, accept = '') => accept.includes('text/html') && !isForPrograms(path),
  }
}
