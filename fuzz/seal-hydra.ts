import { createCipheriv, hash } from 'node:crypto'

/** Writes a row of Hydra's table `hydra_jwk` as CSV, with a text sealed as Hydra seals a key. */
export function sealHydra(text: Buffer, secret: string): Buffer {
  const nonce = Buffer.alloc(12, 7)
  const cipher = createCipheriv('aes-256-gcm', hash('sha256', secret, 'buffer'), nonce)
  const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  const row = ['hydra.openid.id-token', 'kid', '2026-11-01 00:00:00', sealed.toString('base64url')]
  return Buffer.from(`sid,kid,created_at,keydata\n${row.join(',')}\n`)
}
