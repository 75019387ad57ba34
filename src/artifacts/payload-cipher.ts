import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'

/** Text that only who has a key can read, and that nobody else can make, change or move. */
export interface PayloadCipher {
  /** @param name where the text is kept: under another name it does not open */
  seal(text: string, name: string): string
  /** @returns undefined where `sealed` was not made under this key for this name */
  open(sealed: string, name: string): string | undefined
}

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const SALT_BYTES = 16
/** Of base64url. */
const SALT_LENGTH = 22
const NONCE_BYTES = 12
/** 2^48 texts of one process: 89,000 years at 100 a second, 890 at 10,000. */
const COUNTER_BYTES = 6
const TAG_BYTES = 16

/** Most texts that are remembered; they have about a kilobyte each. */
const KNOWN_TEXTS = 2000

/** Most keys of other processes that are remembered. */
const KNOWN_KEYS = 1000

/**
 * AES-256-GCM. Each process encrypts under a key of its own, which it derives with a random salt (HKDF,
 * RFC 5869), and counts its nonces: a nonce never comes twice under one key, while random nonces under
 * one key would have to end after 2^32 texts (NIST SP 800-38D, section 8.3), ten days of a busy server.
 * A text is the salt, the count, the ciphertext and the tag, in base64url.
 *
 * The newest texts are remembered with what they were sealed as: a sign-in reads its session and its
 * interaction many times between two changes, and opening them each time would cost it a tenth.
 */
export function createPayloadCipher(key: KeyObject): PayloadCipher {
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  const ownKey = deriveKey(key, salt)
  const nonce = Buffer.alloc(NONCE_BYTES)
  const keys = new Map([[salt, ownKey]])
  let count = 0
  const texts = new Map<string, { readonly sealed: string; readonly text: string }>()

  function remember(name: string, sealed: string, text: string): void {
    // The newest is the last, and the first goes.
    texts.delete(name)
    texts.set(name, { sealed, text })
    const [oldest] = texts.keys()
    if (texts.size > KNOWN_TEXTS && oldest !== undefined) texts.delete(oldest)
  }

  function keyOf(itsSalt: string): KeyObject {
    const found = keys.get(itsSalt)
    if (found) return found
    if (keys.size >= KNOWN_KEYS) {
      // Whoever writes the store may write any number of salts.
      keys.clear()
      keys.set(salt, ownKey)
    }
    const derived = deriveKey(key, itsSalt)
    keys.set(itsSalt, derived)
    return derived
  }

  return {
    seal: (text, name) => {
      count += 1
      nonce.writeUIntBE(count, NONCE_BYTES - COUNTER_BYTES, COUNTER_BYTES)
      const cipher = createCipheriv(ALGORITHM, ownKey, nonce)
      cipher.setAAD(Buffer.from(name))
      const sealed = cipher.update(text, 'utf8')
      // It has given all already; without it there is no tag.
      cipher.final()
      const counter = nonce.subarray(NONCE_BYTES - COUNTER_BYTES)
      const bytes = Buffer.concat([counter, sealed, cipher.getAuthTag()])
      const result = salt + bytes.toString('base64url')
      remember(name, result, text)
      return result
    },
    open: (sealed, name) => {
      const known = texts.get(name)
      if (known?.sealed === sealed) return known.text
      const bytes = Buffer.from(sealed.slice(SALT_LENGTH), 'base64url')
      const end = bytes.length - TAG_BYTES
      if (end < COUNTER_BYTES) return undefined
      const itsNonce = Buffer.alloc(NONCE_BYTES)
      bytes.copy(itsNonce, NONCE_BYTES - COUNTER_BYTES, 0, COUNTER_BYTES)
      const decipher = createDecipheriv(ALGORITHM, keyOf(sealed.slice(0, SALT_LENGTH)), itsNonce)
      decipher.setAAD(Buffer.from(name))
      decipher.setAuthTag(bytes.subarray(end))
      try {
        const text =
          decipher.update(bytes.subarray(COUNTER_BYTES, end), undefined, 'utf8') +
          decipher.final('utf8')
        remember(name, sealed, text)
        return text
      } catch {
        // What was read until then is nobody's word.
        return undefined
      }
    },
  }
}

function deriveKey(key: KeyObject, salt: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', key, salt, 'payload', KEY_BYTES)))
}
