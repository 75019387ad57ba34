import { randomBytes } from 'node:crypto'
import { refusal } from './refusal.ts'
import { toBigint } from './unsigned.ts'

/** Bits up to which the primes are worked out; the time grows with their third power. */
const BITS_MAX = 4096
/** Each try finds them with a chance of one half. */
const TRIES = 40

/**
 * Works out p and q of an RSA key that has n, e and d alone, as RFC 7518, section 6.3.2, allows
 * (NIST SP 800-56B revision 2, appendix C.1).
 * @throws ImportRefused `key_halves_differ` where d is not that of n and e, `key_too_large`
 */
export function recoverPrimes(n: bigint, e: bigint, d: bigint): readonly [bigint, bigint] {
  if (n.toString(2).length > BITS_MAX) {
    throw refusal(
      'key_too_large',
      `It lacks p and q, which are worked out for keys of up to ${BITS_MAX} bits. Export it with its primes.`,
    )
  }
  let odd = e * d - 1n
  let halvings = 0
  while (odd > 0n && odd % 2n === 0n) {
    odd /= 2n
    halvings++
  }
  for (let tries = 0; tries < TRIES && odd > 0n && halvings > 0; tries++) {
    const root = rootOfOne(n, odd, halvings)
    if (root === 'none') break
    if (root === 'trivial') continue
    const p = gcd(root - 1n, n)
    const q = n / p
    return p > q ? [p, q] : [q, p]
  }
  throw refusal(
    'key_halves_differ',
    'Its private half is not that of its public half: no primes follow from n, e and d.',
  )
}

/** A square root of 1 modulo n that is neither 1 nor -1; it gives a factor away. */
function rootOfOne(n: bigint, odd: bigint, halvings: number): bigint | 'trivial' | 'none' {
  let x = power(toBigint(randomBytes(256)) % n, odd, n)
  if (x === 1n || x === n - 1n) return 'trivial'
  for (let step = 0; step < halvings; step++) {
    const square = (x * x) % n
    if (square === 1n) return x
    if (square === n - 1n) return 'trivial'
    x = square
  }
  return 'none'
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

function gcd(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b]
  return a
}
