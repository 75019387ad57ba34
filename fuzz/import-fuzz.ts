import { ImportRefused, Refused } from '../src/errors.ts'
import type { Imported } from '../src/import/imported-key.ts'
import { adopt } from '../src/moving/adopt.ts'
import { SIGNATURE_ALGORITHMS } from '../src/ring/algorithms.ts'
import { NO_RINGS } from '../src/ring/loaded-rings.ts'
import type { RingPolicy, RotationPolicies } from '../src/ring/policy.ts'
import { type FuzzInput, type FuzzTarget, PASSWORDS } from './import-targets.ts'
import { mutateFile } from './mutate-file.ts'
import { createRandom } from './random.ts'

/**
 * Fuzzes the importers with changed files. Each must read a file or refuse it with a code and
 * without a cause, soon, and say nothing of what is secret in it. Keys that it reads must become
 * facts of rings, or be refused by a code as well.
 */

export interface ImportFuzz {
  readonly targets: readonly FuzzTarget[]
  readonly inputs: number
  readonly seed: number
  /** Milliseconds for each megabyte of an input, unless a password is worked on. */
  readonly patience: number
  readonly onProgress?: (done: number) => void
}

export interface ImportFuzzReport {
  /** By target: number of each code, and of `read`. */
  readonly codes: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** At most ten. */
  readonly failures: readonly ImportFailure[]
  /** Most bytes in use after an input. */
  readonly heap: number
  readonly rss: number
  readonly slowest: { readonly file: string; readonly milliseconds: number }
}

export interface ImportFailure {
  readonly what: string
  readonly file: string
  readonly bytes: Buffer
}

const FAILURES_MAX = 10
/** Bytes of a file that was blown up: more than any reader takes, and no more. */
const LARGE = 17 * 2 ** 20
/** The same before it is sealed: sealing takes the fuzzer more memory than reading does. */
const LARGE_SEALED = 2 * 2 ** 20
/** Work on a password takes a tenth of a second and more, so such files are seldom picked. */
const RARE = { name: 'key file under a password', oneIn: 500 }
const PRIVATE =
  /(?:"|\\u0022)(?:d|p|q|dp|dq|qi|k|D|P|Q|DP|DQ|InverseQ)(?:"|\\u0022)\s*:\s*(?:"|\\u0022)([\w+/=-]{16})/g
/** Names of things, which messages may repeat. */
const NAME =
  /"(?:kid|[iI]d|name|realm|keystore|set|kty|crv|alg|algorithm)"\s*:\s*(?:\[\s*)?"([^"]*)"/g
/** The same in the rows of Keycloak's table, where a cell has the name of the next. */
const NAMED_CELL = /,"?(?:kid|keystore)"?,"?([^",\r\n]*)/g
const NOW = Date.parse('2026-11-28T00:00:00Z') / 1000
const DAY = 86_400

/** A ring for each algorithm. */
const POLICIES: RotationPolicies = {
  rings: Object.keys(SIGNATURE_ALGORITHMS).map(policyOf),
  policyFor: (ring) => policyOf(ring.replace('sig/', '')),
}

export async function fuzzImports(options: ImportFuzz): Promise<ImportFuzzReport> {
  const random = createRandom(options.seed)
  const often = options.targets.filter(({ name }) => name !== RARE.name)
  const rare = options.targets.find(({ name }) => name === RARE.name)
  const secrets = new Map<FuzzInput, readonly string[]>()
  const codes: Record<string, Record<string, number>> = {}
  const failures: ImportFailure[] = []
  const most = { heap: 0, rss: 0, slowest: { file: '', milliseconds: 0 } }

  for (let done = 0; done < options.inputs && failures.length < FAILURES_MAX; done++) {
    const target =
      rare && (often.length === 0 || random.oneIn(RARE.oneIn)) ? rare : random.pick(often)
    const input = random.pick(target.inputs)
    const corpus = [random.pick(target.inputs).bytes]
    const largest = target.name.includes('sealed') ? LARGE_SEALED : LARGE
    const bytes = mutateFile(input.bytes, { corpus, largest }, random)
    if (!secrets.has(input)) secrets.set(input, secretsOf(input.bytes))
    const begun = performance.now()
    const found = await outcomeOf(input, bytes, secrets.get(input) ?? [])
    const milliseconds = performance.now() - begun
    if (target !== rare && milliseconds > most.slowest.milliseconds) {
      most.slowest = { file: input.file, milliseconds }
    }
    // Memory of the fuzzer itself, which would else count as that of the importers.
    if (bytes.length > LARGE_SEALED / 2) globalThis.gc?.()
    const patience = options.patience * Math.max(1, bytes.length / 2 ** 20)
    const isLate = target !== rare && milliseconds > patience
    const what = isLate ? `it took ${milliseconds.toFixed(0)} ms` : found.what
    if (what !== undefined) failures.push({ what, file: input.file, bytes })
    const own = codes[target.name] ?? {}
    codes[target.name] = { ...own, [found.code]: (own[found.code] ?? 0) + 1 }
    if (done % 100 === 0) {
      const { heapUsed, rss } = process.memoryUsage()
      most.heap = Math.max(most.heap, heapUsed)
      most.rss = Math.max(most.rss, rss)
      options.onProgress?.(done)
    }
  }
  return { codes, failures, ...most }
}

/** The code that came of a file, and what is wrong with that. */
async function outcomeOf(
  input: FuzzInput,
  bytes: Buffer,
  secrets: readonly string[],
): Promise<{ readonly code: string; readonly what?: string }> {
  try {
    const imported = await input.read(bytes)
    const told = imported.left.find(({ reason }) => tells(reason, secrets, bytes))
    if (told) return { code: 'read', what: `${told.code} tells a secret: ${told.reason}` }
    assertUsable(imported)
    return { code: 'read' }
  } catch (error) {
    if (error instanceof Refused) return { code: `refused ${error.code}` }
    if (!(error instanceof ImportRefused)) {
      return { code: 'failure', what: String((error as Error)?.stack ?? error) }
    }
    if (error.cause !== undefined) return { code: error.code, what: 'the refusal has a cause' }
    if (!tells(error.message, secrets, bytes)) return { code: error.code }
    return { code: error.code, what: `it tells a secret: ${error.message}` }
  }
}

/** @throws Refused where no ring can have the keys; anything else is a failure */
function assertUsable(imported: Imported): void {
  for (const { kid, thumbprint, jwk } of imported.keys) {
    if (kid === '' || [...kid].length > 255) throw new Error(`kid of ${kid.length} characters`)
    if (!/^[\w-]{43}$/.test(thumbprint)) throw new Error(`thumbprint ${thumbprint}`)
    if (jwk.kty === 'oct') throw new Error('a symmetric key')
  }
  const present = { ...NO_RINGS, thumbprints: new Map() }
  adopt(imported, present, { policies: POLICIES, now: NOW, actor: 'fuzz', reason: 'fuzz' })
}

/** A secret that a change made the name of something is none any more. */
function tells(message: string, secrets: readonly string[], bytes: Buffer): boolean {
  const told = secrets.filter((secret) => message.includes(secret))
  if (told.length === 0) return false
  const text = bytes.toString('latin1')
  const names = [NAME, NAMED_CELL].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, name = '']) => name),
  )
  return told.some((secret) => !names.some((name) => name.includes(secret)))
}

function secretsOf(bytes: Buffer): readonly string[] {
  const parts = [...bytes.toString('latin1').matchAll(PRIVATE)].map(([, part = '']) => part)
  return [...parts, ...PASSWORDS]
}

function policyOf(algorithm: string): RingPolicy {
  return {
    ...{ ring: `sig/${algorithm}`, algorithm, configured: true, published: true, standby: true },
    ...{ cryptoperiod: 90 * DAY, propagation: 14 * DAY, retention: 14 * DAY, archive: 400 * DAY },
    ...{ maxRingAge: 3600, clockSkew: 60 },
  }
}
