import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { createKnownTexts } from './known-texts.ts'

/** Encrypts text so that without the key it cannot be read, made, changed or moved. */
export interface PayloadCipher {
  /** @param name place where the text is kept: under another name it does not open */
  seal(text: string, name: string): string
  /** @returns undefined if `sealed` was not made under this key for this name */
  open(sealed: string, name: string): string | undefined
}

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const SALT_BYTES = 16
/** Characters of the salt in base64url. */
const SALT_LENGTH = 22
const NONCE_BYTES = 12
/** 2^48 texts per process are enough for 89,000 years at 100 a second, 890 at 10,000. */
const COUNTER_BYTES = 6
const TAG_BYTES = 16

/** Most cached keys of other processes. */
const KNOWN_KEYS = 1000

/**
 * AES-256-GCM. Each process encrypts under a key of its own, which it derives with a random salt
 * (HKDF, RFC 5869), and counts its nonces, so a nonce never occurs twice under one key. Random
 * nonces under one key would be used up after 2^32 texts (NIST SP 800-38D, section 8.3), ten days
 * of a busy server. A text is the salt, the count, the ciphertext and the tag, in base64url.
 */
export function createPayloadCipher(key: KeyObject): PayloadCipher {
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  const ownKey = deriveKey(key, salt)
  const nonce = Buffer.alloc(NONCE_BYTES)
  const keys = new Map([[salt, ownKey]])
  let count = 0
  const texts = createKnownTexts()

  function keyOf(textSalt: string): KeyObject {
    const found = keys.get(textSalt)
    if (found) return found
    if (keys.size >= KNOWN_KEYS) {
      // An attacker who can write to the store could write any number of salts.
      keys.clear()
      keys.set(salt, ownKey)
    }
    const derived = deriveKey(key, textSalt)
    keys.set(textSalt, derived)
    return derived
  }

  return {
    seal: (text, name) => {
      count += 1
      nonce.writeUIntBE(count, NONCE_BYTES - COUNTER_BYTES, COUNTER_BYTES)
      const cipher = createCipheriv(ALGORITHM, ownKey, nonce)
      cipher.setAAD(Buffer.from(name))
      const sealed = cipher.update(text, 'utf8')
      // GCM returns no further text here, but there is no tag before `final`.
      cipher.final()
      const counter = nonce.subarray(NONCE_BYTES - COUNTER_BYTES)
      const bytes = Buffer.concat([counter, sealed, cipher.getAuthTag()])
      const result = salt + bytes.toString('base64url')
      texts.add(name, result, text)
      return result
    },
    open: (sealed, name) => {
      const known = texts.find(name, sealed)
      if (known !== undefined) return known
      const bytes = Buffer.from(sealed.slice(SALT_LENGTH), 'base64url')
      const end = bytes.length - TAG_BYTES
      if (end < COUNTER_BYTES) return undefined
      const textNonce = Buffer.alloc(NONCE_BYTES)
      bytes.copy(textNonce, NONCE_BYTES - COUNTER_BYTES, 0, COUNTER_BYTES)
      const decipher = createDecipheriv(ALGORITHM, keyOf(sealed.slice(0, SALT_LENGTH)), textNonce)
      decipher.setAAD(Buffer.from(name))
      decipher.setAuthTag(bytes.subarray(end))
      try {
        const text =
          decipher.update(bytes.subarray(COUNTER_BYTES, end), undefined, 'utf8') +
          decipher.final('utf8')
        texts.add(name, sealed, text)
        return text
      } catch {
        // The tag is wrong, so the decrypted text must not be used.
        return undefined
      }
    },
  }
}

function deriveKey(key: KeyObject, salt: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', key, salt, 'payload', KEY_BYTES)))
}
