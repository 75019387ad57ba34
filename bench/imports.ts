import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { JWK } from 'jose'
import { systemClock } from '../src/clock.ts'
import { keyElement } from '../src/data-protection/key-element.ts'
import { openKeyRing } from '../src/data-protection/open-key-ring.ts'
import { type Protect, writeDuendeFile } from '../src/import/duende-write.ts'
import { TICKS_PER_DAY, type Ticks, ticksOf } from '../src/values/ticks.ts'
import type { Figure, Measure } from './figure.ts'
import { writeConfig } from './setting.ts'

/**
 * Measures `keys import duende --apply` as a person runs it: a thousand key files, of which all but
 * the last few have left the JWKS of IdentityServer, into an empty store. Start of the process and
 * making of the database are included.
 */

const KEYS = 1000
/** Key pairs that the files share, because making a thousand would take minutes. */
const PAIRS = 20
const APPLICATION = 'shop'

const now = () => new Date(systemClock.exact() * 1000)

export const imports: Measure = async (bench) => {
  const pairs = Array.from({ length: PAIRS }, rsaJwk)
  const figures: Figure[] = []
  for (const isProtected of [false, true]) {
    bench.say(`an import of 1,000 ${isProtected ? 'Data-Protected ' : ''}Duende keys ...`)
    const folder = bench.folder()
    const [keys, ring] = [join(folder, 'keys'), join(folder, 'ring')]
    const protect = isProtected ? await protection(ring) : undefined
    await writeKeys(keys, pairs, protect)
    const config = writeConfig(folder, { ports: { http: 0, management: 0 } })
    const options = isProtected ? ['--key-ring', ring, '--application', APPLICATION] : []
    const command = ['keys', 'import', 'duende', keys, ...options, '--apply', '--json']
    const startedAt = performance.now()
    const read = await keyturn(['--config', config, ...command])
    const seconds = (performance.now() - startedAt) / 1000
    if (read !== KEYS) throw new Error(`${read} of ${KEYS} keys were read`)
    figures.push({
      name: `import of ${KEYS} Duende keys`,
      note: `RS256, ${isProtected ? 'Data-Protected' : 'clear'}, into an empty store, as a command`,
      keyturn: `${seconds.toFixed(2)} s`,
      value: seconds,
      unit: 's',
      aim: { bound: 'most', value: 5 },
    })
  }
  return figures
}

function rsaJwk(): JWK {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ format: 'jwk' }) as JWK
}

/** Makes a key ring, and seals with it as IdentityServer does. */
async function protection(directory: string): Promise<Protect> {
  mkdirSync(directory)
  const createdAt = ticksOf(now()) - 10n * TICKS_PER_DAY
  const dates = { createdAt, activatesAt: createdAt, expiresAt: createdAt + 90n * TICKS_PER_DAY }
  const element = keyElement({ id: randomUUID(), secret: randomBytes(64), ...dates })
  writeFileSync(join(directory, `${element.name}.xml`), `\ufeff${element.indented}`)
  const ring = await openKeyRing({ directory, applicationName: APPLICATION, now })
  const protector = ring.createProtector('DataProtectionKeyProtector')
  return (bytes) => protector.protect(bytes)
}

/** Writes keys of the last decades, one every fortnight. */
async function writeKeys(
  directory: string,
  pairs: readonly JWK[],
  protect: Protect | undefined,
): Promise<void> {
  mkdirSync(directory)
  const today = ticksOf(now())
  for (let i = 0; i < KEYS; i++) {
    const jwk = pairs[i % PAIRS]
    if (!jwk) throw new TypeError('there is a pair for each place')
    const kid = randomBytes(16).toString('hex').toUpperCase()
    const createdAt: Ticks = today - BigInt(i) * 14n * TICKS_PER_DAY
    const key = { jwk, kid, algorithm: 'RS256', createdAt, storedAt: createdAt }
    const { name, bytes } = await writeDuendeFile(key, protect)
    writeFileSync(join(directory, name), bytes)
  }
}

const CLI = join(import.meta.dirname, '../src/cli.ts')

/** @returns how many keys the command tells of */
async function keyturn(args: readonly string[]): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args], {
    maxBuffer: 64 * 2 ** 20,
  })
  // The shape is that of `keys import --json`.
  const { keys, left } = JSON.parse(stdout) as { keys: unknown[]; left: unknown[] }
  return keys.length + left.length
}
