import { createHash } from 'node:crypto'

/** Names of the cookies of one issuer. */
export interface CookieNames {
  /** Session, sent to the whole host. */
  readonly session: string
  /** Interaction, that is a single sign-in, below `/interaction`. */
  readonly interaction: string
  /** Return from a sign-in, below `/auth` or `/device`. */
  readonly resume: string
  /** Browser in which somebody signed in before, below `/interaction`. */
  readonly known: string
}

/** 32 bits as hex are enough, because one host has few issuers. */
const MARK_LENGTH = 8

/**
 * Each name holds a hash of the issuer, because cookies are not bound to a port, and the session
 * cookie not to a path either (RFC 6265, section 8.5): issuers on two ports or paths of one host
 * would sign each other's people out. `__Host-` binds the session to this host and to TLS (RFC
 * 6265bis, section 4.1.3.2); the others have a path, which that prefix forbids.
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
