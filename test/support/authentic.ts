import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { type AuthenticOptions, createAuthentic } from '../../src/database/authentic.ts'

const SECRET = randomBytes(32)

/** Keys of one issuer from a secret that all tests of a file share, or from another one. */
export function testAuthentic({
  secret = SECRET,
  issuer = 'https://issuer.example',
  ...options
}: Partial<Omit<AuthenticOptions, 'openSecret'>> & { readonly secret?: Buffer } = {}) {
  return createAuthentic({
    issuer,
    onForgery: () => {},
    openSecret: async () => testSecret(secret).of(issuer),
    ...options,
  })
}

/** The secret of a deployment without a key store. */
export function testSecret(secret: Buffer = SECRET) {
  return {
    of: (issuer: string) => ({
      boundTo: issuer,
      key: (purpose: string) =>
        createSecretKey(createHmac('sha256', secret).update(`${issuer} ${purpose}`).digest()),
    }),
  }
}
