import { refusal } from './refusal.ts'

/**
 * Most bits by which a prime may be shorter than half of the modulus. FIPS 186-5, appendix A.1.3,
 * allows none, but some old programs did not ensure that.
 */
export const PRIME_SLACK = 100

/**
 * Computes p and q of an RSA key that has only n, e and d, as RFC 7518, section 6.3.2, allows. e d
 * - 1 is a multiple of lcm(p - 1, q - 1), so (e d - 1) / (n + 1 - p - q) is a fraction k / g of
 * small numbers. The sum of p and q is so small beside n that k / g is also a convergent of (e d -
 * 1) / n (as in M. J. Wiener's attack on short exponents, 1990). Nothing is tried at random, so a
 * set of a thousand damaged keys takes no longer.
 * @throws ImportRefused `key_halves_differ` if d does not fit n and e
 */
export function recoverPrimes(n: bigint, e: bigint, d: bigint): readonly [bigint, bigint] {
  const multiple = e * d - 1n
  // With a larger g, k / g need not be among the convergents.
  const most = 1n << BigInt(bitsOf(n) >> 2)
  let [a, b] = [multiple, n]
  let [k, kBefore] = [1n, 0n]
  let [g, gBefore] = [0n, 1n]
  while (b > 0n && g <= most) {
    const quotient = a / b
    ;[a, b] = [b, a - quotient * b]
    ;[k, kBefore] = [quotient * k + kBefore, k]
    ;[g, gBefore] = [quotient * g + gBefore, g]
    const found = k > 0n && (multiple * g) % k === 0n && primesOf(n, (multiple * g) / k)
    if (found) return found
  }
  throw refusal(
    'key_halves_differ',
    'Its private half is not that of its public half: no primes of like size follow from n, e and d.',
  )
}

export function bitsOf(number: bigint): number {
  return number.toString(2).length
}

/** Solves for the primes. @param totient (p - 1) (q - 1), if the guess is right */
function primesOf(n: bigint, totient: bigint): readonly [bigint, bigint] | undefined {
  const sum = n + 1n - totient
  if (sum <= 0n || bitsOf(sum) > (bitsOf(n) >> 1) + PRIME_SLACK) return undefined
  const square = sum * sum - 4n * n
  if (square < 0n) return undefined
  const p = (sum + squareRoot(square)) / 2n
  return p * (sum - p) === n ? [p, sum - p] : undefined
}

/** Computes a square root, rounded down, by Newton's method from above. */
function squareRoot(square: bigint): bigint {
  if (square < 2n) return square
  let root = 1n << BigInt((bitsOf(square) + 1) >> 1)
  let next = (root + square / root) >> 1n
  while (next < root) {
    root = next
    next = (root + square / root) >> 1n
  }
  return root
}
