import type { Random } from './random.ts'

/** Damages bytes as disks, copies and attackers do, whatever they mean. */

/** Pieces at which readers of files have stumbled. */
const PIECES = [
  ...['', '\0', '"', "'", '{', '[', '}', ']', ',', '\n', '\t', '\\', '\\N', '\\x'],
  ...['-----BEGIN ', '-----END ', 'null', '-1', '1e400', '99999999999999999999', '__proto__'],
  ...['\u202e', '\ufeff', '\ud800', '{"a":'.repeat(2000), '['.repeat(3000), '"__proto__":{},'],
  ...['INSERT INTO ', 'COPY ', 'VALUES', '--', '/*', 'A'.repeat(5000), '0'.repeat(400), '¿ключ鍵'],
].map((text) => Buffer.from(text))

/** Changes one to four places. @param corpus files to take pieces from */
export function mutateBytes(bytes: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  let result = Buffer.from(bytes)
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(result.length + 1)
    const [before, after] = [result.subarray(0, at), result.subarray(at)]
    const kind = random.below(20)
    if (kind < 9 && after.length > 0) {
      // A bit of a byte, or any other byte.
      after[0] = random.oneIn(2) ? (after[0] ?? 0) ^ (1 << random.below(8)) : random.below(256)
    } else if (kind < 12) result = Buffer.concat([before, random.pick(PIECES), after])
    else if (kind < 15) result = Buffer.concat([before, after.subarray(random.below(40))])
    else if (kind < 16)
      result = Buffer.concat([before, after.subarray(0, random.below(400)), after])
    else if (kind < 18)
      result = Buffer.concat([before, pieceOf(random.pick(corpus), random), after])
    else if (random.oneIn(4)) result = Buffer.from(before)
  }
  return result
}

function pieceOf(bytes: Buffer, random: Random): Buffer {
  const from = random.below(bytes.length + 1)
  return bytes.subarray(from, from + random.below(2000))
}
