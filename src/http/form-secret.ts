import type { CookieKeys } from '../oidc/cookie-keys.ts'

/** Secrets in forms, which prove that a form came from a page of this server. */
export interface FormSecrets {
  /** @param uid of the interaction whose page the form is on */
  of(uid: string): string
  isOf(uid: string, secret: string): boolean
}

/**
 * Stores nothing: the secret is the cookie ring's signature of the interaction's uid, which a page
 * of another site cannot make.
 */
export function createFormSecrets(
  issuer: string,
  cookieKeys: Pick<CookieKeys, 'sign' | 'verify'>,
): FormSecrets {
  // The prefix differs from every signed cookie, so neither signature is valid as the other.
  const signed = (uid: string) => `form\n${issuer}\n${uid}`
  return {
    of: (uid) => cookieKeys.sign(signed(uid)),
    isOf: (uid, secret) => cookieKeys.verify(signed(uid), secret),
  }
}
