import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../src/clock.ts'
import {
  keyElement,
  revocationElement,
  revocationOfAllElement,
} from '../src/data-protection/key-element.ts'
import { TICKS_PER_DAY, ticksOf } from '../src/values/ticks.ts'
import { fuzzKeyRing } from './key-ring.ts'

/**
 * `npm run fuzz:key-rings`: mutated elements of ASP.NET Core key rings against the reader. A seed
 * that found something finds it again.
 */

const HEAP_MAX = 256 * 2 ** 20

function number(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number.')
  return value
}

const now = () => new Date(systemClock.exact() * 1000)
const createdAt = ticksOf(now())

function newKey(encryption: 'AES_256_CBC' | 'AES_256_GCM'): string {
  const dates = { createdAt, activatesAt: createdAt, expiresAt: createdAt + 90n * TICKS_PER_DAY }
  const key = { id: randomUUID(), secret: randomBytes(64), ...dates, algorithms: { encryption } }
  return keyElement(key).indented
}

interface Options {
  readonly inputs: number
  readonly seed: number
  readonly corpus?: string
  readonly certificate?: string
  readonly password?: string
}

const program = new Command('fuzz:key-rings')
  .description('Mutated elements of ASP.NET Core key rings against the reader')
  .option('--inputs <count>', 'how many', number, 1_000_000)
  .option(
    '--seed <number>',
    'the same seed makes the same inputs of the same corpus',
    number,
    randomInt(2 ** 31),
  )
  .option('--corpus <directory>', 'mutate its *.xml too')
  .option('--certificate <file>', 'for secrets of the corpus')
  .option('--password <text>', 'of the certificate')
  .parse()
const { inputs, seed, corpus, certificate, password = '' } = program.opts<Options>()
const good = newKey('AES_256_CBC')
const texts = [
  newKey('AES_256_CBC'),
  newKey('AES_256_GCM'),
  revocationElement(randomUUID(), createdAt, 'fuzz'),
  revocationOfAllElement(createdAt - TICKS_PER_DAY, 'fuzz'),
].map((element) => (typeof element === 'string' ? element : element.indented))
const files = corpus ? readdirSync(corpus).filter((name) => name.endsWith('.xml')) : []
for (const file of files)
  texts.push(readFileSync(join(corpus ?? '', file), 'utf8').replace(/^\ufeff/, ''))
const { codes, failures, heap } = await fuzzKeyRing({
  corpus: texts,
  certificates: certificate ? [{ file: certificate, password }] : [],
  good,
  now,
  inputs,
  seed,
  onProgress: (done) => process.stderr.write(`\r${done} `),
})
const lines = [
  `${inputs} inputs, seed ${seed}, heap at most ${(heap / 2 ** 20).toFixed(0)} MB`,
  ...Object.entries(codes).map(([code, count]) => `${code}: ${count}`),
  ...failures.map(({ what, input }) => `\n--- ${what}\n${input}`),
]
process.stdout.write(`\n${lines.join('\n')}\n`)
process.exitCode = failures.length === 0 && heap < HEAP_MAX ? 0 : 1
