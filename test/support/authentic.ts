import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { type AuthenticOptions, createAuthentic } from '../../src/database/authentic.ts'

const SECRET = randomBytes(32)

/** Keys from a secret that all tests of a file share, or from another one. */
export function testAuthentic({
  secret = SECRET,
  ...options
}: Partial<Omit<AuthenticOptions, 'openSecret'>> & { readonly secret?: Buffer } = {}) {
  return createAuthentic({
    issuer: 'https://issuer.example',
    onForgery: () => {},
    openSecret: async () => testSecret(secret),
    ...options,
  })
}

/** The secret of a deployment without a key store. */
export function testSecret(secret: Buffer = SECRET) {
  return {
    key: (purpose: string) =>
      createSecretKey(createHmac('sha256', secret).update(purpose).digest()),
  }
}
