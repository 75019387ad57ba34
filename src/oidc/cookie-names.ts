import { createHash } from 'node:crypto'

/** Names of the cookies of one issuer. */
export interface CookieNames {
  /** Of the session, for all of the host. */
  readonly session: string
  /** Of one sign-in, below `/interaction`. */
  readonly interaction: string
  /** Of the way back from it, below `/auth` or `/device`. */
  readonly resume: string
  /** Of a browser in which somebody signed in before, below `/interaction`. */
  readonly known: string
}

/** 32 bits as hex: issuers of one host are few. */
const MARK_LENGTH = 8

/**
 * Each name holds a hash of the issuer, because cookies know no port and a session's knows no path
 * either (RFC 6265, section 8.5): issuers on two ports or paths of one host would sign each other's
 * people out. `__Host-` binds the session to this host and to TLS (RFC 6265bis, section 4.1.3.2); the
 * others have a path, which that prefix forbids.
 */
export function cookieNames(issuer: string): CookieNames {
  const isSecure = issuer.startsWith('https:')
  const mark = createHash('sha256').update(issuer).digest('hex').slice(0, MARK_LENGTH)
  const bound = isSecure ? '__Secure-' : ''
  return {
    session: `${isSecure ? '__Host-' : ''}keyturn_${mark}`,
    interaction: `${bound}keyturn_interaction_${mark}`,
    resume: `${bound}keyturn_resume_${mark}`,
    known: `${bound}keyturn_known_${mark}`,
  }
}
