import type { CookieKeys } from '../oidc/cookie-keys.ts'

/** Text in a form that only a page of ours could put there. */
export interface FormSecrets {
  /** @param uid of the interaction whose page the form is on */
  of(uid: string): string
  isOf(uid: string, secret: string): boolean
}

/**
 * Nothing is stored: the secret is a signature of the interaction's uid by the cookie ring, which
 * whoever lures a browser here cannot make.
 */
export function createFormSecrets(
  issuer: string,
  cookieKeys: Pick<CookieKeys, 'sign' | 'verify'>,
): FormSecrets {
  // No cookie is signed as text that begins like this.
  const signed = (uid: string) => `form\n${issuer}\n${uid}`
  return {
    of: (uid) => cookieKeys.sign(signed(uid)),
    isOf: (uid, secret) => cookieKeys.verify(signed(uid), secret),
  }
}
