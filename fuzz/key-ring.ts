import { type CertificateFile, loadCertificate } from '../src/data-protection/certificate-file.ts'
import { openElementStore } from '../src/data-protection/element-store.ts'
import { KeyRingUnreadable, PayloadRefused } from '../src/data-protection/errors.ts'
import { loadKeyRing } from '../src/data-protection/key-ring.ts'
import { mutateXml } from './mutate-xml.ts'
import { createRandom, type Random } from './random.ts'

/**
 * Fuzzes a ring with mutated elements beside a good key, and mutated payloads of that key. The
 * reader must always answer with codes: a good key opens its payload unless the mutated element
 * revokes it or takes its id, and no changed payload opens.
 */

export interface KeyRingFuzz {
  /** Elements to mutate. */
  readonly corpus: readonly string[]
  readonly certificates?: readonly CertificateFile[]
  /** Element of the good key, which is not mutated. */
  readonly good: string
  readonly now: () => Date
  readonly inputs: number
  readonly seed: number
  readonly onProgress?: (done: number) => void
}

export interface KeyRingFuzzReport {
  /** Number of each code, and of `read` for inputs without a problem. */
  readonly codes: Readonly<Record<string, number>>
  /** Failures with their input, at most ten. */
  readonly failures: readonly { readonly what: string; readonly input: string }[]
  /** Most bytes of the heap in use after an input. */
  readonly heap: number
}

const FAILURES_MAX = 10
const PURPOSE = 'Fuzz'
const PLAIN = Buffer.from('the good key opens this')
/** Codes with which a payload of the good key may be refused. */
const EXCUSES = ['payload_key_revoked', 'payload_key_unusable']

export async function fuzzKeyRing(options: KeyRingFuzz): Promise<KeyRingFuzzReport> {
  const { corpus, good, now, inputs } = options
  const certificates = await Promise.all((options.certificates ?? []).map(loadCertificate))
  const open = (elements: readonly string[]) =>
    loadKeyRing(openElementStore(elements), { certificates, applicationName: undefined, now })
  const random = createRandom(options.seed)
  const first = await open([good])
  const payload = first.createProtector(PURPOSE).protect(PLAIN)
  const codes: Record<string, number> = {}
  const failures: { what: string; input: string }[] = []
  let heap = 0

  const look = async (input: string) => {
    const ring = await open([good, input])
    const found = ring.problems.map(({ code }) => code)
    for (const code of found.length > 0 ? found : ['read']) codes[code] = (codes[code] ?? 0) + 1
    ring.defaultKey()
    const protector = ring.createProtector(PURPOSE)
    if (!protector.dangerousUnprotect(payload).data.equals(PLAIN)) throw new Error('other bytes')
    const changed = mutateBytes(payload, random)
    if (!changed.equals(payload)) expectRefusal(() => protector.dangerousUnprotect(changed))
  }
  for (let done = 0; done < inputs && failures.length < FAILURES_MAX; done++) {
    const input = mutateXml(random.pick(corpus), corpus, random)
    try {
      await look(input)
    } catch (error) {
      const code = codeOfExpected(error)
      if (code) codes[code] = (codes[code] ?? 0) + 1
      else failures.push({ what: String((error as Error).stack ?? error), input })
    }
    heap = Math.max(heap, process.memoryUsage().heapUsed)
    if (done % 1000 === 0) options.onProgress?.(done)
  }
  return { codes, failures, heap }
}

function codeOfExpected(error: unknown): string | undefined {
  if (error instanceof KeyRingUnreadable && error.code === 'revocation_unreadable')
    return error.code
  if (error instanceof PayloadRefused && EXCUSES.includes(error.code)) return error.code
  return undefined
}

function expectRefusal(open: () => unknown): void {
  try {
    open()
  } catch (error) {
    if (error instanceof PayloadRefused) return
    throw error
  }
  throw new Error('a changed payload opened')
}

function mutateBytes(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length)
  if (random.oneIn(4)) return bytes.subarray(0, at)
  if (random.oneIn(4)) return Buffer.concat([bytes, bytes.subarray(at)])
  const changed = Buffer.from(bytes)
  changed[at] = random.below(256)
  return changed
}
