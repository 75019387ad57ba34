import { argon2, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { StoreUnreadable } from '../errors.ts'

/** Cost of one Argon2id hash (RFC 9106, section 3.1). */
export interface Argon2Parameters {
  readonly memoryKiB: number
  readonly passes: number
  readonly parallelism: number
}

/** Hashes passwords to PHC strings and verifies them. */
export interface Passwords {
  hash(password: string): Promise<string>
  /**
   * Takes equally long for right and wrong passwords.
   * @throws StoreUnreadable if not a PHC string
   */
  verify(password: string, stored: string): Promise<boolean>
  /** True if `stored` was made with other parameters than the present ones. */
  needsRehash(stored: string): boolean
  /** Makes a PHC string that no password matches and that costs as much to verify as a real one. */
  decoy(): string
}

/** OWASP's first choice for a server that also does other work: 19 MiB, 2 passes, 1 lane. */
export const DEFAULT_ARGON2: Argon2Parameters = { memoryKiB: 19_456, passes: 2, parallelism: 1 }

const SALT_BYTES = 16
const HASH_BYTES = 32
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Characters without the look-alikes 0, 1, i, l and o: 31, of 4.95 bits each. */
const READABLE = '23456789abcdefghjkmnpqrstuvwxyz'

interface Phc {
  readonly parameters: Argon2Parameters
  readonly salt: Buffer
  readonly hash: Buffer
}

const derive = promisify(argon2)

/**
 * Passwords as Argon2id PHC strings (`$argon2id$v=19$m=..,t=..,p=..$salt$hash`). Each string has
 * its own parameters, so that the configured ones can be raised at any time.
 */
export function createPasswords(parameters: Argon2Parameters = DEFAULT_ARGON2): Passwords {
  return {
    async hash(password) {
      const salt = randomBytes(SALT_BYTES)
      const hash = await deriveHash(password, { parameters, salt, length: HASH_BYTES })
      return formatPhc({ parameters, salt, hash })
    },

    async verify(password, stored) {
      const { parameters: storedParameters, salt, hash } = parsePhc(stored)
      const derived = await deriveHash(password, {
        parameters: storedParameters,
        salt,
        length: hash.length,
      })
      return timingSafeEqual(derived, hash)
    },

    needsRehash(stored) {
      const { parameters: was, hash } = parsePhc(stored)
      return (
        was.memoryKiB !== parameters.memoryKiB ||
        was.passes !== parameters.passes ||
        was.parallelism !== parameters.parallelism ||
        hash.length !== HASH_BYTES
      )
    },

    decoy: () =>
      formatPhc({ parameters, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }),
  }
}

/** Highest parameters of a hash, as in the configuration. */
const COSTS = { memoryKiB: 4_194_304, passes: 100, parallelism: 64 }
/** Fewest bytes of salt and hash. */
const SHORTEST_BYTES = { salt: 8, hash: 16 }

/** True for an Argon2id PHC string, perhaps of another system, that can be verified here. */
export function isPasswordHash(text: string): boolean {
  if (!PHC.test(text)) return false
  const { parameters, salt, hash } = parsePhc(text)
  const { memoryKiB, passes, parallelism } = parameters
  return (
    passes >= 1 &&
    passes <= COSTS.passes &&
    parallelism >= 1 &&
    parallelism <= COSTS.parallelism &&
    // Argon2 needs 8 KiB per lane (RFC 9106, section 3.1).
    memoryKiB >= 8 * parallelism &&
    memoryKiB <= COSTS.memoryKiB &&
    salt.length >= SHORTEST_BYTES.salt &&
    hash.length >= SHORTEST_BYTES.hash
  )
}

/**
 * A one-time password that is easy to read out or to type: four groups of five, 99 bits.
 * @example generatePassword() // 'k7m2q-x9bfd-4hwne-tr3yp'
 */
export function generatePassword(): string {
  const group = () => Array.from({ length: 5 }, () => READABLE[randomInt(READABLE.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}

/** NFKC makes a password the same from every keyboard (NIST SP 800-63B, 3.1.1.2). */
function deriveHash(
  password: string,
  { parameters, salt, length }: { parameters: Argon2Parameters; salt: Buffer; length: number },
): Promise<Buffer> {
  return derive('argon2id', {
    message: password.normalize('NFKC'),
    nonce: salt,
    memory: parameters.memoryKiB,
    passes: parameters.passes,
    parallelism: parameters.parallelism,
    tagLength: length,
  })
}

function formatPhc({ parameters: { memoryKiB, passes, parallelism }, salt, hash }: Phc): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const cost = `m=${memoryKiB},t=${passes},p=${parallelism}`
  return `$argon2id$v=19$${cost}$${base64(salt)}$${base64(hash)}`
}

function parsePhc(stored: string): Phc {
  const [, memoryKiB, passes, parallelism, salt, hash] = PHC.exec(stored) ?? []
  if (salt === undefined || hash === undefined) {
    throw new StoreUnreadable(
      'A stored password hash is not an Argon2id PHC string. Give the person a new password.',
    )
  }
  return {
    parameters: {
      memoryKiB: Number(memoryKiB),
      passes: Number(passes),
      parallelism: Number(parallelism),
    },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}
