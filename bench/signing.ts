import { generateKeyPairSync, sign } from 'node:crypto'
import type { Bench, Figure, Stores } from './figure.ts'
import { runLoad } from './load.ts'
import { RESOURCES } from './setting.ts'
import { median } from './statistics.ts'
import { clientCredentials } from './tokens.ts'

/** Milliseconds. */
const ROUND = { full: 2000, quick: 600 }
const ROUNDS = { full: 5, quick: 3 }

/**
 * Compares RS256 tokens with the bare signatures of one core, made one after another with a key of
 * 2048 bits, in turns with the server. The ratio can exceed 1, because signatures are made on other
 * threads.
 */
export async function rawSigning(
  bench: Bench,
  stores: readonly Stores[],
): Promise<readonly Figure[]> {
  const mode = bench.isQuick ? 'quick' : 'full'
  const prepare = clientCredentials({ resource: RESOURCES.RS256 })
  const figures: Figure[] = []
  for (const each of stores) {
    const name = `RS256 beside raw signing, ${each}`
    bench.say(`${name} ...`)
    const { port } = await bench.server('keyturn', each)
    await runLoad({ port, prepare, duration: ROUND[mode] })
    const pairs: { server: number; raw: number }[] = []
    for (let round = 0; round < ROUNDS[mode]; round += 1) {
      const raw = signingRate(ROUND[mode])
      const { rate: server } = await runLoad({ port, prepare, duration: ROUND[mode] })
      pairs.push({ server, raw })
    }
    figures.push({
      name,
      note: 'tokens by client credentials, beside signatures of one core',
      keyturn: `${median(pairs.map((pair) => pair.server)).toFixed(0)}/s`,
      beside: `${median(pairs.map((pair) => pair.raw)).toFixed(0)}/s`,
      value: median(pairs.map((pair) => pair.server / pair.raw)),
      unit: 'ratio',
      aim: { bound: 'least', value: 0.85 },
    })
  }
  return figures
}

/** @returns signatures per second */
function signingRate(duration: number): number {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const data = Buffer.alloc(600, 'x')
  const startedAt = performance.now()
  let count = 0
  while (performance.now() - startedAt < duration) {
    sign('sha256', data, privateKey)
    count += 1
  }
  return (count / (performance.now() - startedAt)) * 1000
}
