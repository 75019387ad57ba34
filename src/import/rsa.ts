import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { JWK } from 'jose'
import { refusal } from './refusal.ts'
import { bitsOf, PRIME_SLACK, recoverPrimes } from './rsa-primes.ts'
import { fromBigint, memberBytes, toBigint } from './unsigned.ts'

/** RSA keys: checked against the policy, and each number of the private half against the others. */

/** Fewest bits that are allowed for signatures (NIST SP 800-131A revision 2, section 3). */
const BITS_MIN = 2048
/**
 * Most bits, because larger keys are slow for relying parties and several libraries refuse them.
 */
const BITS_MAX = 8192
/** Smallest public exponent, an odd number above 2^16 (FIPS 186-5, appendix A.1.1). */
const EXPONENT_MIN = 65_537n
/** Largest public exponent, because Go and Windows keep it in 31 bits. */
const EXPONENT_MAX = 2n ** 31n - 1n
/** Bound below which a modulus has no factor (NIST SP 800-89, section 5.3.3). */
const FACTOR_MIN = 752n

type Numbers = Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', bigint>

/**
 * Reads an RSA key from the members of a JWK.
 * @param options.isSpent true if nobody will sign with the key, so that the trial signature, which
 * takes most of the time, is left out
 * @returns the key with all numbers that follow from the given ones, in minimal spelling
 * @throws ImportRefused if the policy forbids the key or its numbers do not fit together
 */
export function rsaKey(
  members: Readonly<Record<string, unknown>>,
  { isSpent = false }: { readonly isSpent?: boolean } = {},
): JWK {
  if (members.oth !== undefined) throw multiPrime()
  const n = number(members, 'n')
  const e = number(members, 'e')
  assertPolicy(n, e)
  if (members.d === undefined) {
    assertNoSmallFactor(n)
    return written({ n, e })
  }
  const d = number(members, 'd')
  const [p, q] = primes(members, { n, e, d })
  const derived = {
    dp: d % (p - 1n),
    dq: d % (q - 1n),
    qi: 0n,
  }
  for (const name of ['dp', 'dq'] as const) {
    if (members[name] !== undefined && number(members, name) !== derived[name]) throw broken(name)
  }
  derived.qi = members.qi === undefined ? inverse(q, p) : number(members, 'qi')
  if (derived.qi >= p || (derived.qi * q) % p !== 1n) throw broken('qi')
  const jwk = written({ n, e, d, p, q, ...derived })
  if (!isSpent) assertSigns(jwk)
  return jwk
}

/** Makes the refusal of a key with more than two primes, with which no JWK library signs. */
export function multiPrime() {
  return refusal(
    'key_multi_prime',
    'It is an RSA key of more than two primes, which JOSE libraries cannot use. It can come in without its ' +
      'private half, for validation.',
  )
}

function assertPolicy(n: bigint, e: bigint): void {
  const bits = bitsOf(n)
  if (n % 2n === 0n) throw refusal('key_malformed', 'Its modulus n is even, so it is damaged.')
  if (bits < BITS_MIN) {
    throw refusal('key_weak', `It is RSA of ${bits} bits, and the policy asks for ${BITS_MIN}.`)
  }
  if (bits > BITS_MAX) {
    throw refusal(
      'key_too_large',
      `It is RSA of ${bits} bits, and many relying parties refuse more than ${BITS_MAX}.`,
    )
  }
  if (e % 2n === 0n)
    throw refusal('key_malformed', 'Its public exponent e is even, so it is damaged.')
  if (e < EXPONENT_MIN) {
    throw refusal('key_weak', `Its public exponent is ${e}, and the policy asks for 65537 or more.`)
  }
  if (e > EXPONENT_MAX) {
    throw refusal(
      'key_too_large',
      'Its public exponent has more than 31 bits, which many programs refuse.',
    )
  }
}

function primes(
  members: Readonly<Record<string, unknown>>,
  { n, e, d }: Pick<Numbers, 'n' | 'e' | 'd'>,
): readonly [bigint, bigint] {
  if (d < 2n || d >= n) throw broken('d')
  const [p, q] =
    members.p === undefined && members.q === undefined
      ? recoverPrimes(n, e, d)
      : [number(members, 'p'), number(members, 'q')]
  if (p < 3n || q < 3n || p === q || p * q !== n) {
    throw refusal(
      'key_halves_differ',
      'Its private half is not that of its public half: p times q is not n. The key was damaged, or put ' +
        'together from two. Nothing that it signs could be verified.',
    )
  }
  if ((e * d) % (p - 1n) !== 1n || (e * d) % (q - 1n) !== 1n) throw broken('d')
  assertHardToFactor(n, p, q)
  return [p, q]
}

/** Checks a public half as far as possible: nine times in ten, damage shows by small factors. */
function assertNoSmallFactor(n: bigint): void {
  for (let factor = 3n; factor < FACTOR_MIN; factor += 2n) {
    if (n % factor !== 0n) continue
    throw refusal(
      'key_weak',
      `Its modulus n can be divided by ${factor}: it is damaged, or anybody can work out its private half.`,
    )
  }
}

/**
 * Checks the primes (FIPS 186-5, appendix A.1.3): a short one is found by searching, and close ones
 * by Fermat's method.
 */
function assertHardToFactor(n: bigint, p: bigint, q: bigint): void {
  const least = (bitsOf(n) >> 1) - PRIME_SLACK
  const [small, large] = p < q ? [p, q] : [q, p]
  if (bitsOf(small) >= least && bitsOf(large - small) >= least) return
  throw refusal(
    'key_weak',
    'Its primes are of very different size, or lie close together, so that anybody can work out its private half ' +
      'from the public one. Have its relying parties forget it.',
  )
}

/**
 * Checks by a trial signature that p and q are prime, which arithmetic does not show. A signature
 * with damaged primes does not verify.
 */
function assertSigns(jwk: JWK): void {
  const { kty, n, e } = jwk
  const message = Buffer.from('keyturn')
  try {
    const key = createPrivateKey({ key: jwk, format: 'jwk' })
    const publicKey = createPublicKey({ key: { kty, n, e } as JWK, format: 'jwk' })
    if (verify('sha256', message, publicKey, sign('sha256', message, key))) return
  } catch {
    // A refusal of OpenSSL means the same.
  }
  throw broken('p or q')
}

function number(members: Readonly<Record<string, unknown>>, name: string): bigint {
  if (members[name] === undefined) throw refusal('key_malformed', `Its member ${name} is missing.`)
  return toBigint(memberBytes(members[name], name))
}

function written(numbers: Partial<Numbers>): JWK {
  const members = Object.entries(numbers).map(([name, value]) => [
    name,
    fromBigint(value).toString('base64url'),
  ])
  return { kty: 'RSA', ...Object.fromEntries(members) }
}

/** Inverse of a modulo a prime, by Euclid's algorithm; 0 if there is none. */
function inverse(a: bigint, modulus: bigint): bigint {
  let [r, s] = [modulus, a % modulus]
  let [x, y] = [0n, 1n]
  while (s > 0n) {
    const quotient = r / s
    ;[r, s] = [s, r - quotient * s]
    ;[x, y] = [y, x - quotient * y]
  }
  return r === 1n ? ((x % modulus) + modulus) % modulus : 0n
}

function broken(name: string) {
  return refusal(
    'key_malformed',
    `Its private half is damaged: ${name} does not fit its other numbers. Some programs would sign with it ` +
      'all the same, and a wrong signature can give the key away.',
  )
}
