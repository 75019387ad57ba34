import assert from 'node:assert/strict'
import { createRandom, type Random } from '../../fuzz/random.ts'
import { ImportRefused } from '../../src/errors.ts'

/** Bytes and pieces of text at which readers of files have stumbled. */
const PIECES = [
  ...[
    '',
    '\0',
    '"',
    '{',
    '[',
    '}',
    ']',
    ',',
    '\n',
    '-----BEGIN ',
    '-----END ',
    'null',
    '-1',
    '1e400',
  ],
  ...[
    '\u202e',
    '\ud800',
    '{"a":'.repeat(2000),
    '[',
    '99999999999999999999',
    '"__proto__":{},',
    "'",
  ],
].map((text) => Buffer.from(text))

/** Changes a file in one to four places: bytes, pieces put in, pieces gone, the end cut off. */
function mutate(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes)
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(result.length + 1)
    const [before, after] = [result.subarray(0, at), result.subarray(at)]
    const kind = random.below(10)
    if (kind < 5 && after.length > 0) {
      // A bit of a byte, or any other byte.
      after[0] = random.oneIn(2) ? (after[0] ?? 0) ^ (1 << random.below(8)) : random.below(256)
    } else if (kind < 7) result = Buffer.concat([before, random.pick(PIECES), after])
    else if (kind < 9) result = Buffer.concat([before, after.subarray(random.below(40))])
    else if (random.oneIn(4)) result = Buffer.from(before)
  }
  return result
}

interface Mutations {
  readonly inputs: readonly {
    readonly bytes: Buffer
    readonly read: (bytes: Buffer) => Promise<unknown>
  }[]
  readonly seed: number
  readonly count?: number
  /** Texts that no message may hold. */
  readonly secrets?: readonly string[]
}

/**
 * Gives a reader changed files: it must read each or refuse it with a code, and say nothing of what is
 * secret in it.
 */
export async function assertSurvives({ inputs, seed, count = 2000, secrets = [] }: Mutations) {
  const random = createRandom(seed)
  let refusals = 0
  for (let turn = 0; turn < count; turn++) {
    const input = random.pick(inputs)
    const bytes = mutate(input.bytes, random)
    try {
      await input.read(bytes)
    } catch (error) {
      refusals++
      assert.ok(error instanceof ImportRefused, `turn ${turn}: ${(error as Error).stack}`)
      assert.equal(error.cause, undefined)
      for (const secret of secrets) {
        assert.ok(!error.message.includes(secret), `turn ${turn} tells a secret: ${error.code}`)
      }
    }
  }
  assert.ok(refusals > count / 10, `only ${refusals} of ${count} were refused`)
}
