/** Points of the curve Ed25519 (RFC 8032, section 5.1), which OpenSSL accepts without a check. */

const FIELD = 2n ** 255n - 19n
/** Constant d of the curve, -121665 / 121666. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/**
 * True if the bytes are a public key for which only the owner of a private key can sign. Signatures
 * under one of the eight points of small order need no private key (section 7 of D. J. Bernstein
 * and others, High-speed high-security signatures).
 * @param bytes 32 bytes: y, little-endian, with the sign of x in the last bit
 */
export function isEd25519Point(bytes: Uint8Array): boolean {
  const bigEndian = Buffer.from(bytes).reverse()
  const y = BigInt(`0x${bigEndian.toString('hex')}`) & (2n ** 255n - 1n)
  if (y >= FIELD) return false
  const square = (y * y) % FIELD
  // x² = (y² - 1) / (d y² + 1) must have a root, by Euler's criterion.
  const product = (square - 1n) * (D * square + 1n)
  if (power(product, (FIELD - 1n) / 2n) !== 1n) return false
  // Twice a point of small order has y = 0 at most; y² = 1 was refused above.
  return y !== 0n && (D * square * square + 2n * square - 1n) % FIELD !== 0n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % FIELD
    if (bit === '1') result = (((result * base) % FIELD) + FIELD) % FIELD
  }
  return result
}
